/** A private directory for one test, removed by `using`. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempDir extends Disposable {
  readonly path: string
  /** The path of `name` inside. */
  file(name: string): string
  /** Writes a file (0600: OpenSSH refuses looser private keys) and gives its path. */
  write(name: string, content: string | Uint8Array): string
}

export function tempDir(): TempDir {
  const path = mkdtempSync(join(tmpdir(), 'ssh-test-'))
  return {
    path,
    file: (name) => join(path, name),
    write: (name, content) => {
      writeFileSync(join(path, name), content, { mode: 0o600 })
      return join(path, name)
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}
