/** How the node starts its SFTP server, see `sftp-main.ts`. */

import { fileURLToPath } from 'node:url'
import { programFile } from '../../common/program-file.ts'
import type { Program } from '../os/user-process.ts'

/** Its arguments say who to become and where to begin. The environment is what a login has at least, and nothing of the client. */
export const sftpProgram: Program = {
  kind: 'own',
  launch({ name, uid, gid, home }, directory) {
    const script = fileURLToPath(
      programFile(new URL('./sftp-main.ts', import.meta.url), 'sftp-server', import.meta.url),
    )
    return {
      file: process.execPath,
      argv: ['sftp-server', script, name, String(uid), String(gid), home, directory],
      env: { HOME: home, USER: name, LOGNAME: name, PATH: '/usr/local/bin:/usr/bin:/bin' },
    }
  },
}
