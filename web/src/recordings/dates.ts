/** Times of day for people, in their own way of writing them. */

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export const whenText = (iso: string): string => full.format(new Date(iso))
