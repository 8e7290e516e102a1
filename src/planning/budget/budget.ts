import { UserError } from "../../errors.ts";
import { formatBytes, shortBytes } from "../../size-text.ts";
import { plainBytes } from "./bytes.ts";
import type { DeviceProfile } from "./device-profile.ts";

/** The least that stays free beside the run, and the share of the memory where that is more. */
const RESERVE_BYTES = 256 * 2 ** 20;
const RESERVE_SHARE = 0.1;

/** Memory that this machine can give now (planning/free-memory.ts reads it). */
export interface FreeMemory {
  readonly bytes: number;
  /** Where the number comes from, for people: "cgroup limit 2 GiB less 300 MiB in use". */
  readonly source: string;
}

/** A budget in bytes with what it came from. */
export interface Budget {
  readonly bytes: number;
  readonly kind: "expression" | "auto" | "device";
  /** One line for people: what was found and what is left. */
  readonly explanation: string;
  /** The profile, whose context, KV type and coverage count too. */
  readonly device: DeviceProfile | null;
}

/** What a budget text may refer to; each is read by its own file and only when asked for. */
export interface BudgetSources {
  readonly device?: DeviceProfile | undefined;
  readonly freeMemory?: (() => FreeMemory) | undefined;
  /** Size expression kept free under `auto` instead of the usual reserve. */
  readonly reserve?: string | undefined;
}

/**
 * A budget from `auto`, from a device profile (then the text is its name) or from a size expression.
 * Throws UserError `BUDGET_*`.
 */
export async function resolveBudget(
  text: string,
  { device, freeMemory, reserve }: BudgetSources = {},
): Promise<Budget> {
  if (device) return deviceBudget(device);
  if (text.trim() !== "auto") {
    const bytes = await sizeOf(text);
    return { bytes, kind: "expression", explanation: `budget ${formatBytes(bytes)}`, device: null };
  }
  if (!freeMemory) throw new Error("a budget of auto needs a reader of the free memory");
  const free = freeMemory();
  return {
    ...(await lessReserve(free.bytes, reserve ?? null, `free memory (${free.source})`)),
    kind: "auto",
    device: null,
  };
}

async function deviceBudget(device: DeviceProfile): Promise<Budget> {
  const memoryBytes = await sizeOf(device.memory);
  return { ...(await lessReserve(memoryBytes, device.reserve, `device ${device.name}`)), kind: "device", device };
}

async function lessReserve(
  memoryBytes: number,
  reserve: string | null,
  what: string,
): Promise<Pick<Budget, "bytes" | "explanation">> {
  const reserveBytes = await reserveOf(memoryBytes, reserve);
  const bytes = memoryBytes - reserveBytes;
  if (bytes <= 0) {
    throw new UserError(
      "BUDGET_RESERVE",
      `${what}: expected more memory than the reserve of ${formatBytes(reserveBytes)}, found ${formatBytes(memoryBytes)}`,
      "free memory, state a smaller reserve, or state the budget itself",
    );
  }
  const parts = `${what}: ${shortBytes(memoryBytes)}, reserve ${shortBytes(reserveBytes)}`;
  return { bytes, explanation: `${parts}: budget ${formatBytes(bytes)}` };
}

async function reserveOf(memoryBytes: number, reserve: string | null): Promise<number> {
  if (reserve === "none") return 0;
  if (reserve !== null) return sizeOf(reserve);
  return Math.max(RESERVE_BYTES, Math.ceil(memoryBytes * RESERVE_SHARE));
}

/** Bytes of a size expression; mathjs is loaded where it takes more than a number and a unit. */
async function sizeOf(text: string): Promise<number> {
  return plainBytes(text) ?? (await import("./size-expression.ts")).parseBytes(text);
}
