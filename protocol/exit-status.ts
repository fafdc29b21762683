/**
 * The exit statuses of every program for people: done; refused or failed; wrong usage. Programs for systemd follow its
 * own conventions.
 */
export const exitDone = 0;
export const exitFailed = 1;
export const exitUsage = 2;
