/** Times as the original prints them. */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const two = (value: number): string => String(value).padStart(2, '0')

/** `20 Nov 26 15:44 UTC` (Go's RFC822). */
export function shortTime(date: Date): string {
  const day = `${two(date.getUTCDate())} ${months[date.getUTCMonth()]} ${two(date.getUTCFullYear() % 100)}`
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`
}
