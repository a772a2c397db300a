// Writes the first sample of each target by means of the library: seeds CORPUS. Run it again after
// a change of format; the samples are the files seed-* in CORPUS/TARGET.
#include <sndfile.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/data/mnist.h"
#include "crosstate/integer/convert.h"
#include "crosstate/model/network.h"
#include "crosstate/model/parts.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/train/trainer.h"

namespace {

using namespace crosstate;
namespace fs = std::filesystem;

void put(const fs::path& corpus, const char* target, const std::string& name,
         const std::string& bytes) {
  fs::create_directories(corpus / target);
  write_file(corpus / target / ("seed-" + name), bytes);
}

std::string idx(const std::string& dimensions, const std::string& data) {
  std::string bytes = {0, 0, 8, static_cast<char>(dimensions.size())};
  for (const char d : dimensions) bytes += std::string{0, 0, 0, d};
  return bytes + data;
}

std::string gzip(const std::string& bytes) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// Two digits of the sample, reduced to 7 x 7 pixels.
std::string digits(const data::Dataset& set) {
  std::string pixels;
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t k = 0; k < 49; ++k) {
      const std::size_t row = 4 * (k / 7), column = 4 * (k % 7);
      const float value = set.sequence(i)[row * 28 + column];
      pixels += static_cast<char>(static_cast<unsigned char>(value * 255));
    }
  }
  return pixels;
}

data::Dataset small_set(std::size_t count) {
  data::Dataset set;
  set.name = "small";
  set.count = count;
  set.length = 4;
  set.readout.names = {"0", "1"};
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t t = 0; t < 4; ++t) set.values.push_back(static_cast<float>(i % 2 + t) / 4);
    set.targets.push_back(static_cast<float>(i % 2));
  }
  return set;
}

model::ModelOptions small_model(const std::string& norm, const std::string& modes) {
  model::ModelOptions options;
  options.channels = 1;
  options.states = 2;
  options.layers = 1;
  options.block_length = 3;
  options.norm = named(kNames<model::Norm>, norm, "");
  options.modes = named(kNames<model::ModeKind>, modes, "");
  if (modes == "real") options.init = model::PoleStart::kReal;
  return options;
}

// Reduces the configuration in the file to what the network needs, to keep samples short.
std::string shortened(formats::Safetensors file, const std::string& preset) {
  for (const char* key : {"network", "best.network"}) {
    const auto text = file.metadata.find(key);
    if (text == file.metadata.end()) continue;
    nlohmann::json values = parse_json(text->second);
    values["quant"] = {{"preset", preset}};
    text->second = exact_json_text(values);
  }
  return formats::format_safetensors(file);
}

void put_networks(const fs::path& corpus) {
  for (const char* norm : {"batch", "layer", "none"}) {
    for (const char* modes : {"complex", "real"}) {
      const model::Network network(small_model(norm, modes), {1, 2}, 1);
      put(corpus, "network", std::string(norm) + "-" + modes,
          shortened(network.to_tensors(), "float"));
    }
  }
}

void put_quantized_networks(const fs::path& corpus) {
  ThreadPool pool(1);
  data::Batch batch;
  const std::uint32_t order[] = {0, 1, 2};
  data::fill_batch(small_set(3), order, 3, batch);
  for (const char* norm : {"batch", "none"}) {
    for (const char* preset : {"w8a8s8", "w2a4s6", "w1a2s2", "analog-64x64"}) {
      model::Network network(small_model(norm, "complex"), {1, 2}, 1);
      network.quantize(quant::quant_preset(preset), {&batch, 1}, pool);
      const std::string name = std::string(norm) + "-" + preset;
      put(corpus, "network", name, shortened(network.to_tensors(), preset));
      if (norm == std::string("batch")) network.fold_norms();
      const std::string site = integer::site_in_floating_point(network);
      if (!site.empty()) continue;
      put(corpus, "integer_network", name,
          formats::format_safetensors(integer::to_tensors(integer::to_integers(network))));
    }
  }
  model::ModelOptions wide = small_model("batch", "complex");
  wide.channels = 2;
  wide.states = 4;
  model::Network pruned(wide, {1, 2}, 1);
  pruned.quantize(quant::quant_preset("w8a8s8"), {&batch, 1}, pool);
  pruned = pruned.part({{0, 1}, {{{1}, {2, 3}}}});
  put(corpus, "network", "pruned", shortened(pruned.to_tensors(), "w8a8s8"));
  pruned.fold_norms();
  put(corpus, "integer_network", "pruned",
      formats::format_safetensors(integer::to_tensors(integer::to_integers(pruned))));
  quant::QuantOptions residues = quant::quant_preset("w8a8s8");
  residues.state.residue_bits = 6;
  residues.state.residue = quant::ResidueRule::kByPole;
  model::Network shaped(small_model("none", "complex"), {1, 2}, 1);
  shaped.quantize(residues, {&batch, 1}, pool);
  put(corpus, "integer_network", "noise-shaped",
      formats::format_safetensors(integer::to_tensors(integer::to_integers(shaped))));
  model::Network network(small_model("none", "real"), {1, 2}, 1);
  network.quantize(quant::QuantOptions{}, {&batch, 1}, pool);
  put(corpus, "network", "whole", formats::format_safetensors(network.to_tensors()));
  // A network with dropped fraction bits, and the format version without them.
  model::Network sixteen(small_model("none", "real"), {1, 2}, 1);
  sixteen.quantize(quant::uniform_bits(16), {&batch, 1}, pool);
  integer::IntegerNetwork early = integer::to_integers(sixteen);
  early.encoder_codes.early = {1};
  early.score_steps = 1;
  formats::Safetensors file = integer::to_tensors(early);
  put(corpus, "integer_network", "wide", formats::format_safetensors(file));
  file.metadata["format"] = "crosstate integer network 1";
  put(corpus, "integer_network", "version-1", formats::format_safetensors(file));
}

void put_checkpoint(const fs::path& corpus) {
  const fs::path directory = fs::temp_directory_path() / "crosstate-seeds";
  train::TrainOptions options;
  options.epochs = 2;
  options.batch = 2;
  train::TrainContext context;
  context.directory = directory;
  model::Network network(small_model("none", "real"), {1, 2}, 1);
  train::train(network, small_set(4), small_set(2), options, context);
  put(corpus, "checkpoint", "trained",
      shortened(formats::read_safetensors(directory / "train.checkpoint.safetensors"), "float"));
  fs::remove_all(directory);
}

void put_preparations(const fs::path& corpus) {
  const auto put_one = [&](const char* name, const inference::Preparation& preparation) {
    formats::Safetensors model;
    preparation.save(model);
    put(corpus, "preparation", name, formats::format_safetensors(model));
  };
  put_one("images", {{.names = {"0", "1"}}, 7, 4, {}});
  data::FrontEndOptions options;
  options.bands = 3;
  options.deltas = true;
  put_one("bands", {{.names = {"no", "yes"}}, 0, 0, data::FrontEnd(options, 8000)});
  options.arithmetic = data::FrontEndArithmetic::kInteger;
  put_one("whole", {{.names = {"no", "yes"}}, 0, 0, data::FrontEnd(options, 8000)});
  options.arithmetic = data::FrontEndArithmetic::kFloat;
  options.kind = data::FrontEndKind::kWaveform;
  options.deltas = false;
  options.decimation = 2;
  put_one("waveform", {{.names = {"no"}}, 0, 0, data::FrontEnd(options, 8000)});
}

void put_sound(const fs::path& corpus, const char* name, int format, int channels) {
  fs::create_directories(corpus / "sound");
  SF_INFO info = {};
  info.samplerate = 8000;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open((corpus / "sound" / name).c_str(), SFM_WRITE, &info);
  std::vector<float> samples;
  for (int i = 0; i < 120; ++i) samples.push_back(0.01f * static_cast<float>(i % 17));
  sf_write_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(file);
}

// Lengths written by encoders that cannot go back to their headers.
void put_streams(const fs::path& corpus) {
  const auto with = [&](const char* from, const char* name, std::size_t at,
                        const std::string& bytes) {
    std::string sound = read_file(corpus / "sound" / from);
    put(corpus, "sound", name, sound.replace(at, bytes.size(), bytes));
  };
  constexpr std::size_t kSizeOfData = 40, kFramesOfFlac = 22;
  with("seed-pcm16", "pipe", kSizeOfData, std::string("\x00\xf0\xff\x7f", 4));
  with("seed-pcm16", "cut-off", kSizeOfData, std::string(4, '\0'));
  with("seed-rifx", "rifx-pipe", kSizeOfData, std::string("\x80\0\0\0", 4));
  with("seed-flac", "flac-pipe", kFramesOfFlac, std::string(4, '\0'));
}

void put_sounds(const fs::path& corpus) {
  put_sound(corpus, "seed-pcm16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1);
  put_sound(corpus, "seed-stereo", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 2);
  put_sound(corpus, "seed-float", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 1);
  put_sound(corpus, "seed-wavex", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 1);
  put_sound(corpus, "seed-ulaw", SF_FORMAT_WAV | SF_FORMAT_ULAW, 1);
  put_sound(corpus, "seed-flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1);
  put_sound(corpus, "seed-rifx", SF_FORMAT_WAV | SF_FORMAT_PCM_16 | SF_ENDIAN_BIG, 1);
  put_sound(corpus, "seed-rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 1);
  put_streams(corpus);
}

void put_options(const fs::path& corpus) {
  pipeline::RunOptions options = pipeline::demo_options();
  put(corpus, "toml", "demo", options.fields().to_toml());
  put(corpus, "json", "demo", exact_json_text(options.fields().to_json()));
  std::string assignments;
  const FieldList list = options.fields();
  for (const Field& field : list.all()) {
    const nlohmann::json value = field.current();
    assignments += field.key + '=' +
                   (value.is_string() ? value.get<std::string>() : exact_json_text(value)) + '\n';
  }
  put(corpus, "set", "demo", assignments);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
    return 2;
  }
  const fs::path corpus = argv[1];
  const data::Dataset set = data::read_mnist_sample().train;
  const std::string images = idx({2, 7, 7}, digits(set));
  const std::string labels =
      idx({2}, {static_cast<char>(set.targets[0]), static_cast<char>(set.targets[1])});
  for (const auto& [name, bytes] : {std::pair{"images", images}, std::pair{"labels", labels}}) {
    put(corpus, "idx", name, bytes);
    put(corpus, "idx_gz", name, gzip(bytes));
    put(corpus, "idx_gz", std::string("tape-") + name, gzip(bytes) + std::string(64, '\0'));
  }
  put_options(corpus);
  put_preparations(corpus);
  put_sounds(corpus);
  put_networks(corpus);
  put_quantized_networks(corpus);
  put_checkpoint(corpus);
  formats::Safetensors tensors;
  tensors.tensors["weight"] = formats::Tensor::from(std::vector<float>{1, -2, 3, 4, 5, 6}, {2, 3});
  tensors.tensors["moment"] = formats::Tensor::from(std::vector<double>{0.5}, {1});
  tensors.tensors["codes"] = formats::Tensor{"I8", {2, 0}, ""};
  tensors.metadata["format"] = "text";
  put(corpus, "safetensors", "tensors", formats::format_safetensors(tensors));
  tensors.tensors["mask"] = formats::Tensor{"BOOL", {3}, std::string("\1\0\1", 3)};
  tensors.tensors["half"] = formats::Tensor{"F16", {2}, std::string(4, '\0')};
  tensors.tensors["later"] = formats::Tensor{"F3", {8}, std::string(3, '\0')};
  put(corpus, "safetensors", "types", formats::format_safetensors(tensors));
  put(corpus, "recording_list", "speech-commands",
      "yes/0a7c2a8d_nohash_0.wav\nno/1b2c3d4e_nohash_1.wav\r\n./no/f_nohash_0.wav\n\n");
  return 0;
}
