// Prints what GitHub's own parser says of each file named on the command line, as one JSON object
// of path to list of errors. It is bundled first: Node 20 refuses the parser's JSON imports.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import {
  convertWorkflowTemplate,
  NoOperationTraceWriter,
  parseWorkflow,
} from "@actions/workflow-parser";
import { convertActionTemplate, parseAction } from "@actions/workflow-parser/actions/index";

async function errors(path) {
  const file = { name: basename(path), content: readFileSync(path, "utf8") };
  const isAction = file.name === "action.yml";
  const parse = isAction ? parseAction : parseWorkflow;
  const convert = isAction ? convertActionTemplate : convertWorkflowTemplate;
  const { context, value } = parse(file, new NoOperationTraceWriter());
  const template = value ? await convert(context, value) : {};
  const converted = (template.errors ?? []).map((error) => error.Message);
  return [...new Set([...context.errors.getErrors().map((error) => error.message), ...converted])];
}

const found = {};
for (const path of process.argv.slice(2)) {
  found[path] = await errors(path);
}
console.log(JSON.stringify(found));
