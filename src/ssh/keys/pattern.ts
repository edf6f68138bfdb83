/** OpenSSH's `*` and `?` patterns (PATTERNS in ssh_config(5)), in time linear in text × pattern: no input makes it explode. */

/** Does the whole text match? Upper and lower case differ; there are no brackets and no escapes. */
export function matchPattern(pattern: string, text: string): boolean {
  let p = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    const wanted = pattern[p]
    if (wanted === '*') {
      star = p++
      resume = t
    } else if (wanted === '?' || wanted === text[t]) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++resume
    } else {
      return false
    }
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
