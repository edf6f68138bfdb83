/** The text formats of the account database: passwd(5), group(5), shadow(5), nsswitch.conf(5). Parsing only; bad lines are skipped as libc does. */

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  /** Never empty: passwd(5) says that an empty field means /bin/sh. */
  readonly shell: string
}

export interface ShadowEntry {
  /** The encrypted password field as it stands, with its lock marks. */
  readonly password: string
  /** Day since 1970-01-01 on which the account is disabled; undefined for never. */
  readonly expireDay: number | undefined
}

const maxId = 0xffff_fffe

/** One line of passwd(5), undefined when it is not a complete entry. */
export function parsePasswdLine(line: string): Account | undefined {
  const fields = line.split(':')
  const [name, , uidText, gidText, , home, shell] = fields
  if (fields.length !== 7 || name === undefined || home === undefined || shell === undefined) return undefined
  const uid = parseId(uidText)
  const gid = parseId(gidText)
  if (name === '' || uid === undefined || gid === undefined) return undefined
  return { name, uid, gid, home: home === '' ? '/' : home, shell: shell === '' ? '/bin/sh' : shell }
}

/** First entry wins for a name that stands twice, as in libc. */
export function parsePasswd(text: string): ReadonlyMap<string, Account> {
  const accounts = new Map<string, Account>()
  for (const line of text.split('\n')) {
    const account = parsePasswdLine(line)
    if (account !== undefined && !accounts.has(account.name)) accounts.set(account.name, account)
  }
  return accounts
}

/** Group name → gid. */
export function parseGroups(text: string): ReadonlyMap<string, number> {
  const groups = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [name, , gidText] = line.split(':')
    const gid = parseId(gidText)
    if (name !== undefined && name !== '' && gid !== undefined && !groups.has(name)) groups.set(name, gid)
  }
  return groups
}

export function parseShadow(text: string): ReadonlyMap<string, ShadowEntry> {
  const entries = new Map<string, ShadowEntry>()
  for (const line of text.split('\n')) {
    const fields = line.split(':')
    const [name, password, , , , , , expire] = fields
    if (fields.length < 8 || name === undefined || name === '' || password === undefined || entries.has(name)) continue
    const expireDay = expire !== undefined && /^[0-9]{1,9}$/.test(expire) ? Number(expire) : undefined
    entries.set(name, { password, expireDay })
  }
  return entries
}

/** Whether `passwd` entries may come from more than the local files (LDAP, SSSD, systemd-userdb…). */
export function hasOtherSources(nsswitch: string): boolean {
  for (const line of nsswitch.split('\n')) {
    const match = /^\s*passwd:\s*([^#]*)/.exec(line)
    if (match?.[1] === undefined) continue
    return match[1]
      .replaceAll(/\[[^\]]*\]/g, ' ')
      .split(/\s+/)
      .some((source) => source !== '' && source !== 'files')
  }
  return false
}

function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined
  const id = Number(text)
  return id <= maxId ? id : undefined
}
