// The report as JSON and as a page.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "oracle/tool/report.h"

namespace bhvm::oracle {
namespace {

using Json = nlohmann::ordered_json;

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

constexpr std::string_view kStyle =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}th,td{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:left}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:#f6f6f4;padding:.8em;overflow:auto}"
    ".bad{color:#a00;font-weight:600}";

}  // namespace

std::string report_json(const ReportInput& input) {
  const RunReport& report = input.report;
  Json json;
  json["seed"] = input.options.source.seed;
  json["cases"] = report.cases;
  json["native_cases"] = report.native_cases;
  json["differences"] = report.differences;
  json["masked"] = report.masked;
  json["unrepeated"] = report.unrepeated;
  json["seconds"] = report.seconds;
  json["jobs"] = input.options.jobs;
  json["bhvm_instructions"] = report.instructions;
  json["qemu_restarts"] = report.qemu_restarts;
  if (!report.native_missing.empty()) json["native_missing"] = report.native_missing;
  if (!input.error.empty()) json["error"] = input.error;
  for (const auto& [name, family] : report.families) {
    json["groups"].push_back({{"name", name},
                              {"forms", family.forms.size()},
                              {"cases", family.cases},
                              {"differences", family.differences},
                              {"masked", family.masked}});
  }
  json["mnemonics"] = report.mnemonics;
  const std::span<const MaskRow> rows = mask_table();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json["masks"].push_back({{"name", rows[i].name},
                             {"oracle", to_string(rows[i].oracle)},
                             {"kind", to_string(rows[i].kind)},
                             {"instructions", rows[i].mnemonics},
                             {"why", rows[i].why},
                             {"source", rows[i].source},
                             {"host", to_string(rows[i].host)},
                             {"used", report.row_used[i]}});
  }
  for (const auto& [kind, count] : report.kinds) json["kinds"].push_back({{"kind", kind}, {"cases", count}});
  for (const MinimisedCase& each : input.minimised) {
    json["findings"].push_back(
        {{"text", explain_case(each)}, {"confirmed", each.confirmed}, {"case", Json::parse(to_json(each.stored))}});
  }
  return json.dump(1) + "\n";
}

std::string report_html(const ReportInput& input) {
  const RunReport& report = input.report;
  std::string page = fmt::format(
      "<!doctype html><meta charset=\"utf-8\"><title>bhvm-diff, seed {}</title><style>{}</style>"
      "<h1>bhvm against QEMU and the host's processor</h1>"
      "<p>Seed {}, {} cases ({} of them also on the host's processor) in {:.0f} s on {} thread(s): "
      "<span class=\"{}\">{} unexplained differences</span>, {} cases with explained ones, {} that differed only from "
      "a QEMU "
      "that had run others before.</p>",
      input.options.source.seed, kStyle, input.options.source.seed, report.cases, report.native_cases, report.seconds,
      input.options.jobs, report.differences == 0 ? "" : "bad", report.differences, report.masked, report.unrepeated);
  if (!input.error.empty()) page += fmt::format("<p class=\"bad\">The run ended early: {}</p>", escape(input.error));
  if (!report.native_missing.empty()) {
    page += fmt::format("<p>Without the host's processor: {}</p>", escape(report.native_missing));
  }
  page += "<table><tr><th>group<th class=n>forms<th class=n>cases<th class=n>differences<th class=n>masked</tr>";
  for (const auto& [name, family] : report.families) {
    page += fmt::format("<tr><td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}</tr>", escape(name),
                        family.forms.size(), family.cases, family.differences, family.masked);
  }
  page += "</table>";
  if (!input.minimised.empty()) page += "<h2>Differences</h2>";
  for (const MinimisedCase& each : input.minimised) {
    page += fmt::format("<pre>{}</pre><details><summary>case file</summary><pre>{}</pre></details>",
                        escape(explain_case(each)), escape(to_json(each.stored)));
  }
  page +=
      "<h2>What may differ</h2><table><tr><th>name<th>oracle<th>kind<th>instructions<th>why<th>source"
      "<th class=n>used</tr>";
  const std::span<const MaskRow> rows = mask_table();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    page += fmt::format("<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td class=n>{}</tr>", escape(rows[i].name),
                        to_string(rows[i].oracle), to_string(rows[i].kind), escape(rows[i].mnemonics),
                        escape(rows[i].why), escape(rows[i].source), report.row_used[i]);
  }
  return page + "</table>\n";
}

}  // namespace bhvm::oracle
