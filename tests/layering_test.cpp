// Rules checked on the source tree: folders include only those above them and have a namespace
// each, and the library never prints or ends the process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// --- the rules
// -------------------------------------------------------------------------------------

// The folders of crosstate/ in dependency order: each may include its own headers and those of
// folders above.
const std::vector<std::string> kFolders = {
    "base",    "formats",   "kernels", "task",  "data",     "analog",  "quant",    "model",
    "integer", "inference", "train",   "prune", "device",   "circuit", "hardware", "crossbar",
    "mapping", "simulate",  "cost",    "ptq",   "exporter", "report",  "pipeline", "search"};

struct Restriction {
  std::string folder;
  std::vector<std::string> may_include;
  std::string reason;
};
const std::vector<Restriction> kRestrictions = {
    {"report",
     {"base", "report"},
     "a page depends only on plain tables and series, not on their origin"},
};

struct Ban {
  std::string pattern;
  std::string reason;
};
const std::vector<Ban> kBans = {
    {R"(\bstd::(cout|cerr|clog)\b)", "a library returns results; only programs talk to a terminal"},
    {R"(\b(std::)?(v?f?printf|f?puts|fputs|putchar|putc|fputc|perror)\s*\()",
     "a library returns results; only programs talk to a terminal"},
    {R"(\b(std::)?(exit|_exit|_Exit|quick_exit|abort|terminate)\s*\()",
     "only the program decides when the process ends; throw Error instead"},
};

// The order of the steps of a network is defined only in kWalk: a source that calls the kernels of
// the recurrence supplies steps to it and includes it, possibly through the header of another
// executor.
const std::string kWalk = "crosstate/model/walk.h";
const std::vector<std::string> kExecutors = {kWalk, "crosstate/model/group_forward.h",
                                             "crosstate/integer/code_panels.h",
                                             "crosstate/integer/lane_sites.h"};

// --- the checker
// -----------------------------------------------------------------------------------

std::optional<std::size_t> rank_of(const std::string& folder) {
  const auto found = std::find(kFolders.begin(), kFolders.end(), folder);
  if (found == kFolders.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kFolders.begin());
}

// Blanks comments and the contents of strings and characters, keeping every line break.
std::string code_only(const std::string& source) {
  static const std::regex kNotCode(
      R"re(//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.[^'\n]*|[^'\\\n])')re");
  std::string code = source;
  for (std::sregex_iterator it(source.begin(), source.end(), kNotCode), end; it != end; ++it) {
    for (auto i = it->position(); i < it->position() + it->length(); ++i) {
      char& c = code[static_cast<std::size_t>(i)];
      if (c != '\n') c = ' ';
    }
  }
  return code;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Why `folder` must not include `included`, or nothing.
std::string include_problem(const std::string& folder, const std::string& included) {
  if (!rank_of(included)) return "unknown folder " + included;
  for (const Restriction& rule : kRestrictions) {
    const bool allowed = std::count(rule.may_include.begin(), rule.may_include.end(), included) > 0;
    if (rule.folder == folder && !allowed) return rule.reason;
  }
  if (*rank_of(included) > *rank_of(folder)) return included + " stands below " + folder;
  return "";
}

std::vector<std::string> check_includes(const std::string& folder, const std::string& source) {
  if (!rank_of(folder)) return {"folder " + folder + " has no place in the order"};
  static const std::regex kInclude(R"re(^\s*#\s*include\s*"([^"]*)")re");
  static const std::regex kOwnPath("crosstate/([^/]+)/.*");
  std::vector<std::string> problems;
  const std::vector<std::string> lines = lines_of(source);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::smatch include, path;
    if (!std::regex_search(lines[i], include, kInclude)) continue;
    const std::string name = include[1];
    const std::string problem = std::regex_match(name, path, kOwnPath)
                                    ? include_problem(folder, path[1])
                                    : "own headers are included as crosstate/...";
    if (!problem.empty()) {
      problems.push_back(std::to_string(i + 1) + ": includes " + name + ": " + problem);
    }
  }
  return problems;
}

// Whether every line up to `end` declares a class without defining it.
bool only_forward_declarations(const std::vector<std::string>& lines, std::size_t first,
                               const std::string& end) {
  static const std::regex kForward(R"((class|struct|enum class) \w+( : [\w:]+)?;)");
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (lines[i] == end) return true;
    if (!std::regex_match(lines[i], kForward)) return false;
  }
  return false;
}

// Names are declared in the namespace of their folder, except forward declarations; base/ uses the
// common namespace.
std::vector<std::string> check_namespaces(const std::string& folder, const std::string& source) {
  static const std::regex kOpens(R"(^namespace (crosstate[\w:]*) \{)");
  const std::string own = folder == "base" ? "crosstate" : "crosstate::" + folder;
  std::vector<std::string> problems;
  const std::vector<std::string> lines = lines_of(source);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::smatch found;
    if (!std::regex_search(lines[i], found, kOpens)) continue;
    const std::string name = found[1];
    if (name == own || name.starts_with(own + "::")) continue;
    if (only_forward_declarations(lines, i + 1, "}  // namespace " + name)) continue;
    problems.push_back(std::to_string(i + 1) + ": namespace " + name + ", expected " + own);
  }
  return problems;
}

std::vector<std::string> check_bans(const std::string& source) {
  std::vector<std::string> problems;
  const std::vector<std::string> lines = lines_of(code_only(source));
  for (const Ban& ban : kBans) {
    const std::regex pattern(ban.pattern);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      std::smatch found;
      if (!std::regex_search(lines[i], found, pattern)) continue;
      problems.push_back(std::to_string(i + 1) + ": " + found.str() + ": " + ban.reason);
    }
  }
  return problems;
}

// Formats of printf(), and functions that expect a decimal comma where a host program asks for one.
// In all lines but those of comments, since formats are strings.
std::vector<std::string> check_locale(const std::string& source) {
  static const std::regex kComment(R"(^\s*//)");
  static const std::regex kLocale(
      R"(%[-+#0-9.*]*[aefgAEFG]|\b(std::)?(stod|stof|strtod|strtof|atof)\s*\()");
  std::vector<std::string> problems;
  const std::vector<std::string> lines = lines_of(source);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::smatch found;
    if (std::regex_search(lines[i], kComment)) continue;
    if (!std::regex_search(lines[i], found, kLocale)) continue;
    problems.push_back(std::to_string(i + 1) + ": " + found.str() +
                       ": depends on the locale; use base/numbers.h");
  }
  return problems;
}

std::vector<std::string> check_walk(const std::string& source) {
  static const std::regex kScan(R"(\b(scan_forward|scan_adjoint|paired_scan|stream_scan)\s*\()");
  // Executors consist of sites, whose functions have the names of steps.
  static const std::regex kStep(R"(\b(?!sites)\w+\s*(\.|->)\s*(recur|normalize_sum)\s*\()");
  const bool executor =
      std::any_of(kExecutors.begin(), kExecutors.end(), [&](const std::string& header) {
        return source.find("#include \"" + header + "\"") != std::string::npos;
      });
  std::vector<std::string> problems;
  const std::vector<std::string> lines = lines_of(code_only(source));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::smatch found;
    const std::string at = std::to_string(i + 1) + ": ";
    if (!executor && std::regex_search(lines[i], found, kScan)) {
      problems.push_back(at + found.str() + ": an executor supplies the steps of " + kWalk);
    }
    if (std::regex_search(lines[i], found, kStep)) {
      problems.push_back(at + found.str() + ": only " + kWalk + " calls steps");
    }
  }
  return problems;
}

// --- the tree
// --------------------------------------------------------------------------------------

std::vector<fs::path> library_files() {
  std::vector<fs::path> files;
  const std::vector<std::string> extensions = {".h", ".cpp", ".cu", ".cuh", ".inc"};
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(CROSSTATE_SOURCE_DIR) / "crosstate")) {
    const std::string extension = entry.path().extension();
    if (std::count(extensions.begin(), extensions.end(), extension) > 0) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void report_problems(const fs::path& file, const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) ADD_FAILURE() << file.string() << ":" << problem;
}

TEST(Layering, EveryFolderHasItsPlaceAndEveryPlaceItsFolder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(fs::path(CROSSTATE_SOURCE_DIR) / "crosstate")) {
    found.push_back(entry.path().filename());
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(kFolders));
}

TEST(Layering, TheMapListsTheFoldersInThisOrder) {
  static const std::regex kRow(R"(\| `([a-z]+)/` \|)");
  const std::string map = contents(fs::path(CROSSTATE_SOURCE_DIR) / "docs" / "map.md");
  const std::string library = map.substr(0, map.find("## Around it"));
  std::vector<std::string> listed;
  for (std::sregex_iterator it(library.begin(), library.end(), kRow), end; it != end; ++it) {
    listed.push_back((*it)[1]);
  }
  EXPECT_EQ(listed, kFolders);
}

TEST(Layering, FoldersIncludeOnlyWhatStandsAbove) {
  const fs::path library = fs::path(CROSSTATE_SOURCE_DIR) / "crosstate";
  ASSERT_FALSE(library_files().empty());
  for (const fs::path& file : library_files()) {
    const std::string folder = *fs::relative(file, library).begin();
    report_problems(file, check_includes(folder, contents(file)));
  }
}

TEST(Layering, NamespacesAreFolders) {
  const fs::path library = fs::path(CROSSTATE_SOURCE_DIR) / "crosstate";
  for (const fs::path& file : library_files()) {
    const std::string folder = *fs::relative(file, library).begin();
    report_problems(file, check_namespaces(folder, contents(file)));
  }
}

TEST(Layering, LibraryNeverPrintsOrExits) {
  for (const fs::path& file : library_files()) {
    if (file.stem().string().ends_with("_test")) continue;
    report_problems(file, check_bans(contents(file)));
  }
}

TEST(Layering, NumbersDoNotDependOnTheLocale) {
  for (const fs::path& file : library_files()) {
    if (file.stem().string().ends_with("_test")) continue;
    report_problems(file, check_locale(contents(file)));
  }
}

TEST(Layering, OneWayThroughANetwork) {
  const fs::path root = CROSSTATE_SOURCE_DIR;
  for (const fs::path& file : library_files()) {
    const fs::path path = fs::relative(file, root);
    const bool kernel = path.string().starts_with("crosstate/kernels/");
    if (kernel || path == kWalk || file.stem().string().ends_with("_test")) continue;
    report_problems(file, check_walk(contents(file)));
  }
}

// --- the checker itself
// ----------------------------------------------------------------------------

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(LayeringChecker, FindsNumbersThatDependOnTheLocale) {
  EXPECT_THAT(check_locale("snprintf(t, n, \"%d\", 1);\n"
                           "snprintf(t, n, \"%.9g s\", x);\n"
                           "  // %.9g of printf()\n"
                           "return std::stod(text);\n"
                           "return 100 * share + \" % of all\";\n"),
              ElementsAre(StartsWith("2: %.9g: "), StartsWith("4: std::stod(: ")));
}

TEST(LayeringChecker, AcceptsOwnAndUpperFolders) {
  EXPECT_THAT(check_includes("model",
                             "#include <vector>\n"
                             "#include \"crosstate/base/error.h\"\n"
                             "#include \"crosstate/model/model.h\"\n"),
              IsEmpty());
}

TEST(LayeringChecker, FindsALowerFolder) {
  EXPECT_THAT(check_includes("model", "#include <vector>\n#  include \"crosstate/train/loss.h\"\n"),
              ElementsAre("2: includes crosstate/train/loss.h: train stands below model"));
}

TEST(LayeringChecker, FindsWhatARestrictionForbids) {
  EXPECT_THAT(check_includes("report", "#include \"crosstate/base/files.h\"\n"), IsEmpty());
  EXPECT_THAT(check_includes("report", "#include \"crosstate/model/model.h\"\n"),
              ElementsAre(HasSubstr("plain tables")));
}

TEST(LayeringChecker, FindsUnknownFoldersAndShortPaths) {
  EXPECT_THAT(check_includes("util", ""), ElementsAre(HasSubstr("no place in the order")));
  EXPECT_THAT(check_includes("base", "#include \"crosstate/util/x.h\"\n"),
              ElementsAre(HasSubstr("unknown folder util")));
  EXPECT_THAT(check_includes("base", "#include \"error.h\"\n#include \"../model/model.h\"\n"),
              ElementsAre(StartsWith("1: includes error.h"), StartsWith("2: includes ../model")));
}

TEST(LayeringChecker, FindsTheNamespaceOfAnotherFolder) {
  EXPECT_THAT(check_namespaces("base", "namespace crosstate {\n"), IsEmpty());
  EXPECT_THAT(check_namespaces("model", "namespace crosstate::model {\nnamespace {\n"), IsEmpty());
  EXPECT_THAT(check_namespaces("model", "\nnamespace crosstate {\n"),
              ElementsAre("2: namespace crosstate, expected crosstate::model"));
  EXPECT_THAT(
      check_namespaces(
          "model", "namespace crosstate::quant {\nclass A;\n}  // namespace crosstate::quant\n"),
      IsEmpty());
  EXPECT_THAT(
      check_namespaces(
          "model", "namespace crosstate::quant {\nclass A {};\n}  // namespace crosstate::quant\n"),
      ElementsAre("1: namespace crosstate::quant, expected crosstate::model"));
}

TEST(LayeringChecker, FindsPrintingAndExiting) {
  EXPECT_THAT(check_bans("void f() {\n"
                         "  std::cout << 1;\n"
                         "  std::printf(\"x\");\n"
                         "  fprintf(stderr, \"x\");\n"
                         "  abort();\n"
                         "  std::terminate ();\n"
                         "}\n"),
              ElementsAre(StartsWith("2: std::cout: "), StartsWith("3: std::printf(: "),
                          StartsWith("4: fprintf(: "), StartsWith("5: abort(: "),
                          StartsWith("6: std::terminate (: ")));
}

TEST(LayeringChecker, IgnoresCommentsStringsAndOtherNames) {
  EXPECT_THAT(
      check_bans("// printf(\"x\")\n"
                 "/* exit(1);\n   abort(); */\n"
                 "auto text = \"std::cout \\\" exit(1)\";\n"
                 "snprintf(buffer, size, \"x\");\n"
                 "f('\\x41', '\\'', '\"', 1'000, 2'000); on_exit_handler(); pool.exit_code();\n"),
      IsEmpty());
}

TEST(LayeringChecker, FindsASecondWayThroughANetwork) {
  EXPECT_THAT(check_walk("void block() {\n"
                         "  scan_forward(modes, rounding, steps, u, y, state);\n"
                         "  const Rows y = forward.recur(l, u);\n"
                         "}\n"),
              ElementsAre(HasSubstr("2: scan_forward(: an executor supplies the steps"),
                          HasSubstr("3: forward.recur(: only crosstate/model/walk.h")));
  EXPECT_THAT(check_walk("#include \"crosstate/model/walk.h\"\n"
                         "Rows recur(l, u) { scan_forward(modes, u, y); sites_.recur(l, u, y); }\n"
                         "// forward.recur(l, u)\n"),
              IsEmpty());
}

}  // namespace
