// A control group whose memory is limited with the page cache counted, version 1 or 2, below the one that we are in.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Files of the two versions: the limit, the peak, swapping off, times that the limit was met, what is in it. */
const VERSIONS = [
  {
    root: "/sys/fs/cgroup/memory",
    line: /^\d+:memory:(.*)$/m,
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
    swapOff: ["memory.swappiness", "0"],
  },
  {
    root: "/sys/fs/cgroup",
    line: /^0::(.*)$/m,
    limit: "memory.max",
    peak: "memory.peak",
    swapOff: ["memory.swap.max", "0"],
  },
];

/** Makes a group of so many bytes; throws where this machine lets us make none. Remove it when its processes ended. */
export function memoryGroup(name, bytes) {
  const own = readFileSync("/proc/self/cgroup", "utf8");
  const found = VERSIONS.find(({ root, line, limit }) => {
    const folder = path.join(root, line.exec(own)?.[1] ?? "/");
    return line.test(own) && existsSync(path.join(folder, limit.replace("memory.max", "cgroup.controllers")));
  });
  if (!found) throw new Error("no memory controller that we could make a group with");
  const folder = path.join(found.root, found.line.exec(own)[1], `layerwise-${name}-${process.pid}`);
  mkdirSync(folder);
  writeFileSync(path.join(folder, found.limit), String(bytes));
  writeFileSync(path.join(folder, found.swapOff[0]), found.swapOff[1]);
  return {
    /** For `sh -c`: joins the group and becomes the command that follows as arguments. */
    enter: `echo $$ > '${folder}/cgroup.procs' && exec "$@"`,
    peakBytes: () => Number(readFileSync(path.join(folder, found.peak), "utf8")),
    remove: () => rmdirSync(folder),
  };
}
