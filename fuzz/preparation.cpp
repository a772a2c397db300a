// Preparation stored in model files: classes, order of the steps, and the front end of recordings,
// including the first frames that it computes.
#include "crosstate/pipeline/data.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const std::string where = "fuzz.safetensors";
  const std::optional<inference::Preparation> preparation =
      inference::Preparation::load(formats::parse_safetensors(bytes, where), where);
  if (!preparation) return;
  formats::Safetensors model;
  preparation->save(model);
  const std::string written = formats::format_safetensors(model);
  formats::Safetensors again;
  inference::Preparation::load(formats::parse_safetensors(written, where), where)->save(again);
  require(formats::format_safetensors(again) == written, "a preparation that reads back");
  if (!preparation->front_end) return;
  data::FrontEndStream stream(*preparation->front_end);
  std::vector<float> frames;
  stream.push(std::vector<float>(300, 0.25f), frames);
  require(frames.size() % preparation->front_end->features() == 0, "whole frames");
}
