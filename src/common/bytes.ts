/** Sizes for people, in steps of 1024 as `scp` and `ls -h` show them. */

const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const

/** `123KB`, `10.1MB`; never more than six characters. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0]
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1
  return `${value.toFixed(digits)}${units[unit]}`
}
