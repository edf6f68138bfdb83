/** Which processes a cluster under test consists of now: for tests that kill, freeze or measure them. */

import { readdirSync, readFileSync } from 'node:fs'
import type { Cluster } from './cluster.ts'

/** Processes of this cluster, whoever their parent is now. */
export function clusterProcesses(cluster: Cluster): ReadonlyMap<number, string> {
  const found = new Map<number, string>()
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = readFileSync(`/proc/${entry}/environ`, 'latin1')
      const command = readFileSync(`/proc/${entry}/cmdline`, 'latin1')
      if (environment.includes(`XDG_CACHE_HOME=${cluster.dir}/`) && command.includes('\0start\0')) {
        found.set(Number(entry), /--roles=(\w+)/.exec(command)?.[1] ?? 'supervisor')
      }
    } catch {
      // Gone meanwhile.
    }
  }
  return found
}

/** The process of a role, or `supervisor`; 0 when it is not there now. */
export const pidOf = (cluster: Cluster, role: string): number => {
  const own = cluster.process?.child.pid
  for (const [pid, what] of clusterProcesses(cluster)) {
    if (what !== role) continue
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    if (role === 'supervisor' ? pid === own : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === own)
      return pid
  }
  return 0
}
