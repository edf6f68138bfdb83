/**
 * Which process a file belongs to, as part of the file's name: process id and start time, so that a number that the kernel gave
 * out again is not taken for the owner. Linux only, like the rest.
 */

import { readFile } from 'node:fs/promises'

/** `<pid>-<start time in clock ticks since boot>` of this process. */
export async function ownProcess(): Promise<string> {
  const { pid } = process
  return `${pid}-${(await startTime(pid)) ?? '0'}`
}

/** Whether the process that `ownProcess` described still runs. */
export async function processAlive(owner: string): Promise<boolean> {
  const [pid = '', since] = owner.split('-')
  return since !== undefined && /^\d+$/.test(pid) && (await startTime(Number(pid))) === since
}

/**
 * Field 22 of `/proc/PID/stat` (proc(5)), counted from behind the program's name, which may hold anything. A process that ended
 * and only waits for its parent to notice has none.
 */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}
