// For binding.gyp: prints the C++ files of the folders named, one a line.
const { readdirSync } = require("node:fs");

for (const folder of process.argv.slice(2)) {
  for (const file of readdirSync(folder).sort()) {
    if (file.endsWith(".cpp")) process.stdout.write(`${folder}/${file}\n`);
  }
}
