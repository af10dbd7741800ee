/** `1 event`, `2 events` */
export const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`

/** `5 minutes`, `8 hours`, `30 days` */
export function time(seconds: number): string {
  if (seconds < 3_600) return plural(seconds / 60, 'minute')
  return seconds < 172_800 ? plural(seconds / 3_600, 'hour') : plural(seconds / 86_400, 'day')
}
