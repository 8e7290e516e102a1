/** Exit statuses; see `docs/cli.md`. */
export const EXIT = { userError: 1, bug: 70, stopped: 75 } as const;
