/**
 * OSC 52: a program puts text on the clipboard of whoever looks at it. It need not be a program that one trusts (a file that is
 * shown can do it), so it is asked for once and off until then. What is on the clipboard is never told.
 */

export type Permission = 'yes' | 'no' | 'ask'

/** Bytes of text. */
const maxText = 100_000

/** The text that the sequence `52 ; targets ; base64` would copy; undefined for a question, and for what is too long or no text. */
export function readClipboardWrite(data: string): string | undefined {
  const at = data.indexOf(';')
  const encoded = data.slice(at + 1)
  if (at < 0 || encoded === '' || encoded === '?' || encoded.length > (maxText * 4) / 3 + 4) return undefined
  try {
    const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const keyOf = (user: string): string => `teleport.clipboard.${user}`

export function permissionOf(user: string): Permission {
  const kept = localStorage.getItem(keyOf(user))
  return kept === 'yes' || kept === 'no' ? kept : 'ask'
}

export const setPermission = (user: string, permission: 'yes' | 'no'): void =>
  localStorage.setItem(keyOf(user), permission)
