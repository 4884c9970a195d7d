// Evaluates one workflow expression with GitHub's own evaluator: `evaluate.mjs EXPRESSION CONTEXTS`,
// where CONTEXTS is a JSON object of context name to value.
import { data, Evaluator, Lexer, Parser, wellKnownFunctions } from "@actions/expressions";

const [expression, json] = process.argv.slice(2);
const contexts = JSON.parse(json, data.reviver);
const names = contexts.pairs().map((pair) => pair.key);
const { tokens } = new Lexer(expression).lex();
const parsed = new Parser(tokens, names, Object.values(wellKnownFunctions)).parse();
console.log(JSON.stringify(new Evaluator(parsed, contexts).evaluate().coerceString()));
