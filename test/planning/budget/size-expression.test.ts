import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { plainBytes } from "../../../src/planning/budget/bytes.ts";
import { parseBytes } from "../../../src/planning/budget/size-expression.ts";
import { formatBytes, shortBytes } from "../../../src/size-text.ts";

const MIB = 2 ** 20;

function refusal(text: string): UserError {
  try {
    parseBytes(text);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe("plainBytes", () => {
  it("gives what mathjs gives, for one number with one unit", () => {
    const number = fc.oneof(
      fc.nat(10 ** 6).map(String),
      fc.tuple(fc.nat(10 ** 4), fc.nat(999)).map(([whole, part]) => `${whole}.${part}`),
    );
    fc.assert(
      fc.property(number, fc.constantFrom("B", "kB", "MB", "GB", "KiB", "MiB", "GiB"), (value, unit) => {
        fc.pre(Number(value) >= 1);
        expect(plainBytes(`${value} ${unit}`)).toBe(parseBytes(`${value} ${unit}`));
      }),
    );
  });

  it.each(["1 + 1 MiB", "0.5 * 1 GiB", "160", "4G", "600 MB/s", "8 Mb", "-1 MiB", "1e3 MiB", ""])(
    "leaves %s to mathjs",
    (text) => {
      expect(plainBytes(text)).toBeNull();
    },
  );

  it("refuses nothing and too much as mathjs does", () => {
    expect(() => plainBytes("0 MiB")).toThrow(UserError);
    expect(() => plainBytes("99999999999 GiB")).toThrow(UserError);
  });
});

describe("parseBytes", () => {
  it.each(["5 constructor", "toString", "1 MiB + valueOf"])("takes %s for no misspelt unit", (text) => {
    expect(refusal(text).hint).toMatch(/^write a size/);
  });

  it.each([
    ["600 MiB", 600 * MIB],
    ["0.75 * 1 GiB - 64 MiB", 704 * MIB],
    ["(1 + 2) * 3 MiB", 9 * MIB],
    ["4 GiB/2", 2 ** 31],
    ["70% * 10 MB", 7_000_000],
    ["2 GB", 2_000_000_000],
    ["3 kB", 3000],
    ["3 KiB", 3072],
    ["1 TB", 1e12],
    ["2 megabytes", 2_000_000],
    ["0.29 GB", 290_000_000],
    ["1.5 B", 1],
    ["10 B / 3", 3],
    ["  2e3 MiB ", 2000 * MIB],
    ["167772160 B", 160 * MIB],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each([
    ["", "BUDGET_SYNTAX"],
    ["4 MiB +", "BUDGET_SYNTAX"],
    ["sqrt(4) MiB", "BUDGET_SYNTAX"],
    ["x = 4 MiB", "BUDGET_SYNTAX"],
    ["4 MiB; 5 MiB", "BUDGET_SYNTAX"],
    ["4 MiB\n5 MiB", "BUDGET_SYNTAX"],
    ["2^30 B", "BUDGET_SYNTAX"],
    ["4 MB to B", "BUDGET_SYNTAX"],
    ["1 GiB 512", "BUDGET_SYNTAX"],
    ["'4' MiB", "BUDGET_SYNTAX"],
    ["true MiB", "BUDGET_SYNTAX"],
    ["NaN", "BUDGET_SYNTAX"],
    ["Infinity MiB", "BUDGET_SYNTAX"],
    ["1e400 B", "BUDGET_SYNTAX"],
    ["160", "BUDGET_UNITS"],
    ["gb", "BUDGET_UNITS"],
    ["4G", "BUDGET_UNITS"],
    ["600 mB", "BUDGET_UNITS"],
    ["600 MB/s", "BUDGET_UNITS"],
    ["3 m", "BUDGET_UNITS"],
    ["e MiB", "BUDGET_UNITS"],
    ["1 GiB * 1 GiB", "BUDGET_UNITS"],
    ["1 GiB / 1 MiB", "BUDGET_UNITS"],
    ["5 MiB + 3", "BUDGET_UNITS"],
    ["-5 MiB", "BUDGET_VALUE"],
    ["0 B", "BUDGET_VALUE"],
    ["0.5 B", "BUDGET_VALUE"],
    ["1/0 * 1 MiB", "BUDGET_VALUE"],
    ["1e300 GiB", "BUDGET_VALUE"],
  ])("refuses %j in one line", (text, code) => {
    const error = refusal(text);
    expect(error.code).toBe(code);
    expect(error.message).not.toContain("\n");
    expect(error.hint).toBeTruthy();
  });

  it("guesses what was meant", () => {
    expect(refusal("160").hint).toBe("did you mean 160 MiB?");
    expect(refusal("167772160").hint).toBe("did you mean 167772160 B?");
    expect(refusal("4G").hint).toBe("did you mean GB or GiB?");
    expect(refusal("600 MB/s").message).toContain('"s", which measures no memory');
    expect(refusal("600 MB/s").hint).toBe('a budget is a size, no rate: leave "/s" out');
  });

  describe("mib-means-bits: units and numbers that are nearly right are refused with the right ones", () => {
    it.each([
      ["600 Mib", "MiB"],
      ["600 Kib", "KiB"],
      ["1 Gib + 5 MiB", "GiB"],
      ["600 Mb", "MB or MiB"],
      ["600 kb", "kB or KiB"],
      ["600 Gbit", "GB or GiB"],
      ["600 megabits", "MB or MiB"],
      ["600 mebibits", "MiB"],
      ["8 b", "B"],
      ["8 bits", "B"],
      ["4 GO", "GB or GiB"],
      ["4 Mo", "MB or MiB"],
      ["4 Gio", "GiB"],
      ["600 mb", "MB or MiB"],
      ["600 mib", "MiB"],
      ["600 MIB", "MiB"],
      ["512Mi", "MiB"],
      ["512m", "MB or MiB"],
      ["600 K", "kB or KiB"],
      ["600 megs", "MB or MiB"],
      ["2 gigs", "GB or GiB"],
      ["2 MBs", "MB or MiB"],
      ["2 Mbps", "MB or MiB"],
      ["2 MBytes", "MB or MiB"],
      ["2 Gigabytes", "GB or GiB"],
    ])("%s", (text, meant) => {
      expect(plainBytes(text)).toBeNull();
      expect(refusal(text)).toMatchObject({ code: "BUDGET_UNITS", hint: `did you mean ${meant}?` });
    });

    it.each([
      ["1,5 GiB", "1.5"],
      ["0,75 * 1 GiB", "0.75"],
      ["1,500 GiB", "1500 or 1.500"],
      ["1,000,000 kB", "1000000"],
      ["1.000.000 kB", "1000000"],
      ["1 000 MiB", "1000"],
      ["1\u00a0000 MiB", "1000"],
      ["1_000 MiB", "1000"],
      ["1'000 MiB", "1000"],
      ["1.000,5 MiB", "1000.5"],
      ["1,000.5 MiB", "1000.5"],
    ])("%s", (text, meant) => {
      expect(plainBytes(text)).toBeNull();
      expect(refusal(text)).toMatchObject({ code: "BUDGET_SYNTAX", hint: `write ${meant}` });
    });
  });

  it("reads back every whole number of bytes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (bytes) => {
        expect(parseBytes(`${bytes} B`)).toBe(bytes);
      }),
    );
  });
});

describe("formatBytes", () => {
  it("names a binary unit and the exact bytes", () => {
    expect(formatBytes(160 * MIB)).toBe("160 MiB (167,772,160 bytes)");
    expect(formatBytes(2 ** 30 + 2 ** 28)).toBe("1.25 GiB (1,342,177,280 bytes)");
    expect(shortBytes(900)).toBe("900 bytes");
    expect(shortBytes(12_800)).toBe("12.5 KiB");
    expect(shortBytes(24 * 1024)).toBe("24.0 KiB");
    expect(shortBytes(999 * MIB)).toBe("999 MiB");
    expect(shortBytes(1000 * MIB)).toBe("1,000 MiB");
    expect(shortBytes(5000 * 2 ** 30)).toBe("5,000 GiB");
    expect(shortBytes(-160 * MIB)).toBe("-160 MiB");
  });
});
