/** What the inspectors of file copies have in common. */

import type { EventInput } from '../../audit/events.ts'
import type { connectionFields } from '../node-events.ts'

export type SessionEventFields = ReturnType<typeof connectionFields> & { readonly sid: string }

/** Sees what passes. */
export interface CopyInspector {
  fromClient(chunk: Buffer): void
  fromProgram(chunk: Buffer): void
  /** True: nothing more from the client before the program has answered. */
  readonly isBusy: boolean
  finish(): void
}

/** `file`: which of those that `FileOpened` was told of this tells of. */
export type EventPush = (event: FileAuditEvent, file?: number) => void

/** A file is being copied: should the node be killed now, its successor tells. */
export type FileOpened = (
  number: number,
  file: {
    readonly event: 'sftp.read' | 'sftp.write' | 'scp'
    readonly action: 'upload' | 'download'
    readonly path: string
  },
) => void

type FileAuditEvent =
  | EventInput<'scp'>
  | EventInput<'sftp.open'>
  | EventInput<'sftp.read'>
  | EventInput<'sftp.write'>
  | EventInput<'sftp.setstat'>
  | EventInput<'sftp.opendir'>
  | EventInput<'sftp.remove'>
  | EventInput<'sftp.mkdir'>
  | EventInput<'sftp.rmdir'>
  | EventInput<'sftp.rename'>
  | EventInput<'sftp.symlink'>
  | EventInput<'sftp.link'>
