/**
 * Which strings may be looked up as an OS login at all. The name ends up in the argv of `setpriv` and `getent`, in paths
 * below /var/mail and in log lines, so everything that one of them could read differently is refused before any look-up.
 */

/** Letters, digits and `_ . @ + -`, starting with a letter, digit or `_`, at most 128 characters, optionally a final `$` (Samba machines). */
const pattern = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,126}\$?$/

/** True for a string that can be an OS login. Numbers are refused: `getent` and `setpriv` would take them for a uid. */
export function isLoginName(name: string): boolean {
  return pattern.test(name) && !/^[0-9]+$/.test(name)
}
