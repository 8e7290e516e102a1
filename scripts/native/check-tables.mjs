// npm run check:native-tables -- [native] [avx512] [neon]: compares the kernels of every instruction set with the plain
// ones, bit for bit. Compiles test/native/tables with the kernels into one program for each way of running them:
//   native  the tables that this machine's processor runs
//   avx512  the AVX-512 tables as plain code (SIMDe), where the processor lacks them
//   neon    the tables of 64-bit ARM, cross-compiled, under qemu: a processor with dot products, one without
// `--quick` compiles with little optimization and compares a part of the shapes: what the test suite runs. `--missing`
// prints what a way lacks on this machine, a line each, and runs nothing.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileObjects, linkProgram, runCommand } from "./compile-objects.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const KERNELS = join(ROOT, "src/native/kernels");
const CHECKS = join(ROOT, "test/native/tables");
const BUILD = join(ROOT, "src/native/build/tables");

const COMMON = [
  "-std=c++20",
  "-ffp-contract=off",
  "-fno-math-errno",
  "-Wall",
  "-Wextra",
  "-Wno-psabi",
  "-Werror=missing-field-initializers",
];
const AVX2 = ["-mavx2", "-mfma", "-mf16c"];
const AVX512 = [...AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"];
const CROSS_COMPILER = "aarch64-linux-gnu-g++";
const QEMU = "qemu-aarch64-static";

/** What a table needs beside the common flags, as in binding.gyp. */
const TABLES = {
  scalar: [],
  avx2: AVX2,
  avx512: AVX512,
  avx512vnni: [...AVX512, "-mavx512vnni"],
  avx512vbmi2: [...AVX512, "-mavx512vnni", "-mavx512vbmi2"],
  neon: [],
  neondot: ["-march=armv8.2-a+dotprod"],
};
/** Optimizing SIMDe's plain code takes minutes. */
const EMULATED = ["-O0", `-I${join(CHECKS, "simde")}`];

/** The AVX-512 tables, from the least that a processor must have for one. */
const AVX512_TABLES = ["avx512", "avx512vnni", "avx512vbmi2"];

const x64 = process.arch === "x64";
const arm64 = process.arch === "arm64";

const words = process.argv.slice(2);
const quick = words.includes("--quick");
const onlyMissing = words.includes("--missing");
const names = words.filter((word) => !word.startsWith("--"));

/** Whether this processor has the widest AVX-512 that a table is made for. */
function hasAvx512() {
  if (!existsSync("/proc/cpuinfo")) return false;
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1].split(" ") ?? [];
  const needed = ["avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni", "avx512_vbmi2"];
  return needed.every((flag) => flags.includes(flag));
}

/** Tables of this machine's kind of processor. */
function ownTables() {
  if (arm64) return ["scalar", "neon", "neondot"];
  if (!x64) return ["scalar"];
  return ["scalar", "avx2", ...(hasAvx512() ? AVX512_TABLES : [])];
}

const WAYS = {
  native: {
    needs: [["c++", "g++"]],
    applies: () => true,
    compiler: "c++",
    tables: ownTables,
    emulated: [],
    defines: () => (x64 && !hasAvx512() ? ["-DLAYERWISE_NO_AVX512"] : []),
    link: [],
    runs: [{ label: "this processor", command: [], args: [] }],
  },
  avx512: {
    needs: [
      ["c++", "g++"],
      ["/usr/include/simde/x86/avx512.h", "libsimde-dev"],
    ],
    applies: () => x64 && !hasAvx512(),
    compiler: "c++",
    tables: () => ["scalar", "avx2", ...AVX512_TABLES],
    emulated: AVX512_TABLES,
    defines: () => [],
    link: [],
    runs: [{ label: "plain code", command: [], args: ["--emulated", ...AVX512_TABLES] }],
  },
  neon: {
    needs: [
      [CROSS_COMPILER, "g++-aarch64-linux-gnu"],
      [QEMU, "qemu-user-static"],
    ],
    applies: () => !arm64,
    compiler: CROSS_COMPILER,
    tables: () => ["scalar", "neon", "neondot"],
    emulated: [],
    defines: () => [],
    link: ["-static"],
    runs: [
      // In the quick comparison each table is emulated once.
      { label: "emulated processor with dot products", command: [QEMU, "-cpu", "max"], args: quick ? ["neondot"] : [] },
      { label: "emulated Cortex-A53", command: [QEMU, "-cpu", "cortex-a53"], args: [] },
    ],
  },
};

/** Debian packages that a way needs and this machine has not: tools by name, headers by path. */
function missingPackages({ needs }) {
  const there = (what) =>
    what.startsWith("/") ? existsSync(what) : spawnSync(what, ["--version"], { stdio: "ignore" }).error === undefined;
  return needs.filter(([what]) => !there(what)).map(([, pkg]) => pkg);
}

function flagsOf(way, table) {
  if (way.emulated.includes(table)) return [...COMMON, ...EMULATED];
  // The plain table is what the others are held to, not what is to be shown right: no time goes into its optimization.
  const level = table === "scalar" ? "-O1" : "-O3";
  return [...COMMON, quick ? "-O0" : level, ...TABLES[table]];
}

/**
 * Functions that the linker may merge with other files' and that are not in the table's own namespace: a copy compiled
 * for a newer processor could end up in code that every processor runs.
 */
function sharedFunctions(object, table) {
  const { status, stdout } = spawnSync("nm", ["-C", object], { encoding: "utf8" });
  if (status !== 0) return [];
  const weak = stdout.split("\n").filter((line) => / [WwVvu] /.test(line));
  return weak.filter((line) => !line.includes(`layerwise::${table}::`)).map((line) => line.slice(19));
}

async function build(name, way) {
  const tables = way.tables();
  const plain = [...COMMON, quick ? "-O0" : "-O1", ...way.defines()];
  const checks = readdirSync(CHECKS).filter((file) => file.endsWith(".cpp"));
  const units = [
    ...tables.map((table) => ({ source: join(KERNELS, `table-${table}.cpp`), flags: flagsOf(way, table) })),
    ...checks.map((file) => ({ source: join(CHECKS, file), flags: plain })),
    ...["cpu-features.cpp", "packed-matrix.cpp"].map((file) => ({ source: join(KERNELS, file), flags: plain })),
  ];
  const objects = await compileObjects(way.compiler, units, BUILD);
  for (const [index, table] of tables.entries()) {
    const shared = quick || way.emulated.includes(table) ? [] : sharedFunctions(objects[index], table);
    if (shared.length > 0) throw new Error(`table-${table}.cpp defines functions that other files may get: ${shared}`);
  }
  return linkProgram(way.compiler, way.link, objects, BUILD, `check-${name}${quick ? "-quick" : ""}`);
}

/** Builds and runs a way; true where every bit is the same. */
async function compare(name, way) {
  const program = await build(name, way);
  let good = true;
  for (const { label, command, args } of way.runs) {
    const [first, ...rest] = [...command, program, ...(quick ? ["--quick"] : []), ...args];
    const { status, output } = await runCommand(first, rest);
    process.stdout.write(`${label}:\n${output.replace(/^(?=.)/gm, "  ")}`);
    good &&= status === 0;
  }
  return good;
}

/** One way, or the reason why it is not compared here. True where nothing is wrong. */
async function check(name) {
  const way = WAYS[name];
  if (!way.applies()) {
    if (!onlyMissing) process.stdout.write(`${name}: nothing to emulate, this processor has it\n`);
    return true;
  }
  const missing = missingPackages(way);
  if (missing.length > 0) {
    process.stdout.write(`${name}: not compared, for want of these Debian packages: ${missing.join(", ")}\n`);
    return onlyMissing;
  }
  return onlyMissing || compare(name, way);
}

const unknown = names.find((name) => WAYS[name] === undefined);
try {
  if (unknown !== undefined) throw new Error(`${unknown}: expected ${Object.keys(WAYS).join(", ")}`);
  for (const name of names.length > 0 ? names : Object.keys(WAYS)) {
    if (!(await check(name))) process.exitCode = 1;
  }
} catch (error) {
  process.stderr.write(`check-tables: ${error.message}\n`);
  process.exitCode = 1;
}
