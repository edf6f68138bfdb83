/**
 * What everybody tries first. A list of a few words in many shapes: with a year, digits or a sign behind, written twice, or with
 * digits for letters. Source: the tops of published lists of leaked passwords.
 */

const words = new Set(
  `password passwort passw0rd letmein welcome changeme secret qwerty qwertyuiop qwertz azerty asdfghjkl zxcvbnm iloveyou
  monkey dragon sunshine princess football baseball superman batman master shadow trustno starwars whatever michael jordan
  admin administrator root login teleport default guest temp test testing user hello freedom computer internet server summer
  winter spring autumn abcdefghijkl abcdefgh abcdef qazwsx qazwsxedc wsxedc passphrase mypassword
  thisismypassword opensesame access`
    .split(/\s+/)
    .filter((word) => word !== ''),
)

const lookAlikes: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
}

/** Letters only, written once: `P4ssw0rd2026!` and `passwordpassword` are both `password`. */
function cores(password: string): readonly string[] {
  const lower = password.normalize('NFKC').toLowerCase()
  const spelled = lower.replaceAll(/[013457@$]/g, (char) => lookAlikes[char] ?? char)
  const trimmed = [lower, spelled].flatMap((text) => [
    text.replaceAll(/[^\p{Letter}]/gu, ''),
    // What stands behind the word is dropped before digits become letters.
    text.replaceAll(/[^\p{Letter}\p{Number}]/gu, ''),
  ])
  const withoutTail = lower
    .replace(/[^\p{Letter}]+$/u, '')
    .replaceAll(/[013457@$]/g, (char) => lookAlikes[char] ?? char)
    .replaceAll(/[^\p{Letter}]/gu, '')
  return [...trimmed, withoutTail].map(once)
}

const once = (text: string): string => /^(.+?)\1+$/u.exec(text)?.[1] ?? text

const runs = [
  '01234567890123456789',
  '98765432109876543210',
  'abcdefghijklmnopqrstuvwxyz',
  'zyxwvutsrqponmlkjihgfedcba',
].concat(['qwertyuiopasdfghjklzxcvbnm', '1q2w3e4r5t6y7u8i9o0p', '1qaz2wsx3edc4rfv5tgb6yhn'])

/** Why anybody would guess it soon; undefined when not. */
export function guessable(password: string, user: string): string | undefined {
  const lower = password.toLowerCase()
  if (new Set(password).size < 4) return 'it repeats a few characters'
  if (runs.some((run) => run.includes(lower)) || runs.some((run) => run.includes(once(lower))))
    return 'it is a row of keys or letters'
  const names = [user.toLowerCase(), ...cores(user)].filter((name) => name.length > 1)
  const seen = cores(password)
  if (names.some((name) => lower === name || seen.includes(name))) return 'it is the name of the user'
  if (seen.some((core) => words.has(core))) return 'it is one of the commonest'
  return undefined
}
