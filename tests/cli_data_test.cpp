// Data sets in practice: messages about folders and files of other origin.
#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/formats/safetensors.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class CliData : public Cli {
 protected:
  // Three classes of twelve recordings, one folder each, with different speakers.
  void write_folders(const std::string& name, const std::vector<std::string>& labels) const {
    const data::Recordings set = data::reference::tone_set(12 * labels.size(), 2);
    for (std::size_t i = 0; i < set.items.size(); ++i) {
      data::reference::write_sound(directory_ / name / labels[i % labels.size()] /
                                       ("s" + std::to_string(i / labels.size()) + "_nohash_0.wav"),
                                   set.items[i].samples);
    }
  }
  Result train(const std::string& data, const std::string& out,
               std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--data", path(data), "--set", "front_end.bands=6", "--set",
                             "run.quantize=false", "--set", "train.epochs=1", "--quiet"});
    return call(tiny("train", path(out), more));
  }
  json summary(const std::string& out) const {
    return parse_json(read_file(path(out + "/summary.json")));
  }
};

TEST_F(CliData, NamesOfAnyBytesReachTheResults) {
  write_folders("set-\xff", {"caf\xe9", "tea", "milk"});
  const Result trained = train("set-\xff", "out-\xfe");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(summary("out-\xfe")["data"][0], HasSubstr("set-\xef\xbf\xbd train"));
  const std::string model = path("out-\xfe/float.safetensors");
  const Result evaluated = call({"eval", model, "--data", path("set-\xff"), "--json", "-",
                                 "--predictions", path("predictions.csv"), "--out", path("e")});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_EQ(parse_json(evaluated.out)["sequences"], 3);
  EXPECT_THAT(read_file(path("predictions.csv")), HasSubstr("caf\xef\xbf\xbd"));
  // An error is text as well.
  const Result refused = call({"eval", model, "--data", path("absent-\xff")});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("absent-\xef\xbf\xbd: no such directory"));
}

TEST_F(CliData, WhatIsLeftOutIsCountedWithQuietToo) {
  write_folders("set", {"yes", "no"});
  for (const char* name : {"set/yes/more/t0_nohash_0.wav", "set/no/more/t1_nohash_0.wav",
                           "set/_background_noise_/hum.wav"}) {
    data::reference::write_sound(path(name), data::reference::tone(300, 800));
  }
  const std::vector<std::string> lines = {"2 recordings in no/more, yes/more not used",
                                          "1 recording in _background_noise_ not used"};
  const Result trained = train("set", "out");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const json notes = summary("out")["notes"];
  ASSERT_EQ(notes.size(), lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string line = testing::PrintToString(lines[i]);
    EXPECT_TRUE(std::any_of(notes.begin(), notes.end(),
                            [&](const json& note) {
                              return note.get<std::string>().find(lines[i]) != std::string::npos;
                            }))
        << line << notes;
    EXPECT_THAT(trained.err, HasSubstr(lines[i]));
  }
  const Result evaluated = call({"eval", path("out/float.safetensors"), "--data", path("set"),
                                 "--quiet", "--out", path("e")});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  for (const std::string& line : lines) EXPECT_THAT(evaluated.err, HasSubstr(line));
  EXPECT_EQ(parse_json(read_file(path("e/eval.json")))["notes"].size(), lines.size());

  write("sweep.toml",
        "[grid]\n\"run.seed\" = [1, 2]\n[run]\nquantize = false\n[front_end]\nbands = 6\n"
        "[model]\nchannels = 4\nstates = 4\nlayers = 1\n[train]\nepochs = 1\n");
  const Result swept = call({"sweep", path("sweep.toml"), "--data", path("set"), "--quiet", "--out",
                             path("swept"), "--threads", "1"});
  ASSERT_EQ(swept.code, 0) << swept.err;
  for (const std::string& line : lines) {
    const std::size_t first = swept.err.find(line);
    ASSERT_NE(first, std::string::npos) << swept.err;
    EXPECT_EQ(swept.err.find(line, first + 1), std::string::npos) << swept.err;
  }
}

TEST_F(CliData, ClassesAreChosenInEveryCommand) {
  const std::vector<std::string> chosen = {"--set", "data.classes=7 1"};
  std::vector<std::string> settings = {
      "--set", "run.quantize=false", "--set", "data.train_limit=60", "--set", "data.test_limit=50"};
  settings.insert(settings.end(), chosen.begin(), chosen.end());
  const Result trained = call(tiny("train", path("out"), settings));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const json notes = summary("out")["notes"];
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0],
            "the built-in sample: 5600 images of other classes not used: "
            "data.classes = \"7 1\"");
  EXPECT_EQ(summary("out")["test_sequences"], 50);
  const std::string model = path("out/float.safetensors");
  const Result evaluated =
      call({"eval", model, "--json", "-", "--set", "data.classes=1 7", "--quiet"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_EQ(parse_json(evaluated.out)["sequences"], 200);
  EXPECT_THAT(call({"eval", model}).err, HasSubstr("made for 2 classes"));
  const Result refused = call({"eval", model, "--set", "data.classes=1 x"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("data.classes = \"1 x\", but there is no class \"x\""));
}

TEST_F(CliData, PartsBesideClassesAreRefused) {
  write_folders("set/Train", {"yes", "no"});
  write_folders("set/TEST", {"yes", "no"});
  ASSERT_EQ(train("set", "out").code, 0);
  EXPECT_THAT(exact_json_text(summary("out")["data"]),
              AllOf(HasSubstr("train: 20"), HasSubstr("test: 24")));
  write_folders("set", {"maybe"});
  const Result mixed = train("set", "mixed");
  EXPECT_EQ(mixed.code, 2);
  EXPECT_THAT(mixed.err, AllOf(HasSubstr("TEST, Train"), HasSubstr("maybe")));
}

TEST_F(CliData, PointersAreNamedByEveryReader) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n";
  constexpr const char* kMessage = "is a Git LFS pointer, not the file";
  write("m.safetensors", pointer);
  write("g.npz", pointer);
  write("g.csv", pointer);
  write("c.toml", pointer);
  write("v.csv", "0.1\n");
  write("tones/a_ann_0.wav", pointer);
  write("tones/b_ann_9.wav", pointer);
  make_data("images", "train-images-idx3-ubyte", pointer);
  expect_refused({"info", path("m.safetensors")}, {"m.safetensors", kMessage});
  for (const char* map : {"g.npz", "g.csv"}) {
    expect_refused({"array", "--conductance", path(map), "--voltage", path("v.csv")},
                   {map, kMessage});
  }
  expect_refused({"train", "--config", path("c.toml"), "--out", path("o")}, {"c.toml", kMessage});
  expect_refused({"train", "--target", path("c.toml"), "--out", path("o")}, {"c.toml", kMessage});
  expect_refused({"sweep", path("c.toml"), "--out", path("o")}, {"c.toml", kMessage});
  expect_refused({"device", "table", "--set", "device.table=" + path("g.csv")},
                 {"g.csv", kMessage});
  expect_refused(tiny("train", path("o"), {"--data", path("tones")}), {"_ann_", kMessage});
  expect_refused(tiny("train", path("o"), {"--data", path("images")}), {"train-images", kMessage});
  // The same with a name of a compressed file.
  fs::rename(path("images/train-images-idx3-ubyte"), path("images/train-images-idx3-ubyte.gz"));
  expect_refused(tiny("train", path("o"), {"--data", path("images")}), {"train-images", kMessage});
}

TEST_F(CliData, NpyIsNamedAsSuch) {
  write("g.npy", std::string("\x93NUMPY\1\0v\0{\"descr\": \"<f8\"", 26));
  write("v.csv", "0.1\n");
  const std::vector<std::string> parts = {"g.npy", "is a .npy file, expected .npz or .csv"};
  expect_refused({"array", "--conductance", path("g.npy"), "--voltage", path("v.csv")}, parts);
  expect_refused({"array", "--conductance", path("v.csv"), "--voltage", path("g.npy")}, parts);
  expect_refused({"array", "--conductance", path("v.csv"), "--voltage", path("v.csv"),
                  "--effective", path("e.npy")},
                 {"e.npy", "expected .npz or .csv"});
}

TEST_F(CliData, WhatIsUnknownInAModelIsNamed) {
  ASSERT_EQ(
      call(tiny("train", path("out"), {"--set", "train.epochs=1", "--set", "qat.epochs=1"})).code,
      0);
  for (const std::string name : {"float", "qat", "qat.integer"}) {
    const formats::Safetensors good =
        formats::read_safetensors(path("out/" + name + ".safetensors"));
    const auto refused = [&](const formats::Safetensors& bad, std::vector<std::string> parts) {
      formats::write_safetensors(path("bad.safetensors"), bad);
      parts.push_back("bad.safetensors");
      expect_refused({"eval", path("bad.safetensors")}, parts);
    };
    // Tensors of any type, also of unknown ones.
    for (const formats::Tensor& tensor : {formats::Tensor{"BOOL", {3}, std::string(3, '\1')},
                                          formats::Tensor{"F16", {2}, std::string(4, '\0')},
                                          formats::Tensor{"F3", {2}, std::string(1, '\0')}}) {
      formats::Safetensors bad = good;
      bad.tensors["mask"] = tensor;
      refused(bad, {"unknown tensor 'mask'"});
    }
    formats::Safetensors bad = good;
    bad.metadata["author"] = "me";
    refused(bad, {"unknown key 'author' in the metadata"});
    bad = good;
    bad.metadata["format"] = "";
    refused(bad, {"empty format, expected 'crosstate network 2' or 'crosstate integer network 3'"});
    const bool integers = good.metadata.contains("integer");
    bad.metadata["format"] = integers ? "crosstate network 2" : "crosstate integer network 3";
    refused(bad, {"format '" + bad.metadata["format"] + "', but its metadata are those of '" +
                  (integers ? "crosstate integer network 3" : "crosstate network 2") + '\''});
    bad.metadata.erase("format");
    refused(bad, {"no 'format' in the metadata, expected 'crosstate network 2' or"});
    bad = good;
    bad.tensors["encoder.bias"] = {"BOOL", {2}, std::string(2, '\1')};
    refused(bad, {"encoder.bias", "BOOL"});
    if (integers) continue;
    // Options that contradict each other, in a model that was edited.
    bad = good;
    std::string& options = bad.metadata["network"];
    const std::size_t at = options.find("\"states\":4");
    ASSERT_NE(at, std::string::npos);
    options.replace(at, 10, "\"states\":5");
    refused(bad, {"model.states = 5"});
    EXPECT_THAT(call({"eval", path("bad.safetensors")}).err,
                testing::StartsWith("crosstate: " + path("bad.safetensors")));
  }
  // Training starts from files that hold nothing else, either.
  formats::Safetensors start = formats::read_safetensors(path("out/float.safetensors"));
  start.tensors["mask"] = {"F16", {2}, std::string(4, '\0')};
  formats::write_safetensors(path("start.safetensors"), start);
  expect_refused(tiny("train", path("o"), {"--set", "run.start=" + path("start.safetensors")}),
                 {"start.safetensors", "unknown tensor 'mask'"});
}

}  // namespace
}  // namespace crosstate
