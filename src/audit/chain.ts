/**
 * What ties the audit log together. Each event's hash covers the hash before it, so that a changed, removed, added or moved event
 * breaks every hash after it; checkpoints signed with a key of the auth service keep somebody who can write the file from simply
 * computing all hashes anew. docs/decisions/audit-store.md
 */

import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
import { BadParameter } from '../errors/errors.ts'

/** Before the first event. */
export const firstHash = hash('sha256', 'teleport audit log', 'hex')

/** Hex. `body` is the event's JSON exactly as it is stored, without `ei` and `hash`. */
export const nextHash = (previous: string, ei: number, body: string): string =>
  hash('sha256', `${previous} ${ei} ${body}`, 'hex')

export interface Head {
  /** 0 before the first event. */
  readonly ei: number
  readonly hash: string
}

/** An event as it stands in the log. */
export interface Link extends Head {
  readonly body: string
}

/** One line of JSON that still holds the body's exact text. */
export const linkLine = ({ ei, hash, body }: Link): string => `{"ei":${ei},"hash":"${hash}",${body.slice(1)}`

const linePattern = /^\{"ei":([1-9]\d{0,14}),"hash":"([0-9a-f]{64})",/

/** Undefined when it is not such a line. */
export function parseLinkLine(line: string): Link | undefined {
  const match = linePattern.exec(line)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { ei: Number(match[1]), hash: match[2], body: `{${line.slice(match[0].length)}` }
}

/** The oldest events were removed on purpose: the log begins after `ei`, whose hash was `hash`. */
export interface Cut extends Head {
  /** How many were removed. */
  readonly events: number
  /** Number of the first checkpoint that was kept. */
  readonly first: number
}

/** What is signed: at this moment the log's last event was `ei`, with this hash. */
export interface Checkpoint extends Head {
  /** From 1, without gaps. */
  readonly n: number
  /** RFC 3339. */
  readonly time: string
  /** SHA-256 of the text of the checkpoint before; empty for the first. */
  readonly previous: string
  readonly cut?: Cut
  /** Events up to `ei` are older than the chain: what the log was when it was first tied together. */
  readonly adopted?: boolean
}

/** The text counts, not what it means: the signature is over these bytes. */
export interface Signed {
  readonly text: string
  /** Base64. */
  readonly signature: string
}

export type StatementKind = 'checkpoint' | 'export'

/** Keeps a signature of one kind from serving as another. */
const signedBytes = (kind: StatementKind, text: string): Buffer => Buffer.from(`teleport audit ${kind}\n${text}`)

export interface AuditKey {
  readonly private: KeyObject
  /** Base64 of the SubjectPublicKeyInfo. */
  readonly public: string
}

/** From PKCS#8 in PEM. */
export function auditKey(pem: string): AuditKey {
  const key = createPrivateKey(pem)
  return { private: key, public: publicText(createPublicKey(key)) }
}

export const publicText = (key: KeyObject): string => key.export({ type: 'spki', format: 'der' }).toString('base64')

/** `SHA256:…` as OpenSSH writes fingerprints. */
export const keyFingerprint = (publicKey: string): string =>
  `SHA256:${hash('sha256', Buffer.from(publicKey, 'base64'), 'base64').replace(/=+$/, '')}`

/** Throws BadParameter for anything but an Ed25519 key. */
export function parseAuditPublicKey(text: string): KeyObject {
  try {
    const pem = text.includes('BEGIN PUBLIC KEY')
    const key = pem
      ? createPublicKey(text)
      : createPublicKey({ key: Buffer.from(text.trim(), 'base64'), type: 'spki', format: 'der' })
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Said below.
  }
  throw new BadParameter('key', 'this is not the public key of an audit log: a line that begins with MCowBQYDK2VwAyEA')
}

export const signText = (kind: StatementKind, text: string, key: AuditKey): Signed => ({
  text,
  signature: sign(null, signedBytes(kind, text), key.private).toString('base64'),
})

export function verifyText(kind: StatementKind, { text, signature }: Signed, keys: readonly KeyObject[]): boolean {
  const bytes = signedBytes(kind, text)
  const raw = Buffer.from(signature, 'base64')
  // Only one spelling of a signature counts, so that not even a bit of padding can be changed unnoticed.
  if (raw.toString('base64') !== signature) return false
  return keys.some((key) => verify(null, bytes, key, raw))
}

export const checkpointText = (checkpoint: Checkpoint): string => JSON.stringify(checkpoint)

/** Of the text of a checkpoint, for the one after it. */
export const textHash = (text: string): string => hash('sha256', text, 'hex')

/** Undefined when it is not one. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isCheckpoint(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false
  const { n, time, previous, cut } = value as Readonly<Record<string, unknown>>
  const whole = isHead(value) && Number.isSafeInteger(n) && typeof time === 'string' && typeof previous === 'string'
  return whole && (cut === undefined || isHead(cut))
}

function isHead(value: unknown): value is Head {
  if (typeof value !== 'object' || value === null) return false
  const { ei, hash } = value as Readonly<Record<string, unknown>>
  return Number.isSafeInteger(ei) && typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash)
}

/** A head as people write it down: `EI:HASH`. */
export const formatHead = ({ ei, hash }: Head): string => `${ei}:${hash}`

/** Throws BadParameter. */
export function parseHead(text: string): Head {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.trim())
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new BadParameter('expect-head', 'a head is written as EI:HASH, as "tctl audit verify" prints it')
  }
  return { ei: Number(match[1]), hash: match[2] }
}
