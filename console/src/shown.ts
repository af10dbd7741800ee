/** Times in the reader's zone, which the console names wherever it shows one. */

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone

const TWO = '2-digit'
const DATE = new Intl.DateTimeFormat('en-CA', { year: 'numeric', month: TWO, day: TWO })
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: TWO, minute: TWO, second: TWO, fractionalSecondDigits: 3 })
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const OFFSET = new Intl.DateTimeFormat('en', { timeZoneName: 'longOffset' })

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 30],
  ['month', 12],
  ['year', Infinity],
]

/** `2026-11-30` */
export const dateOf = (at: Date): string => DATE.format(at)

/** `08:20:10.123` */
export const clockOf = (at: Date): string => CLOCK.format(at)

/** `2026-11-30 08:20:10.123` */
export const localOf = (at: Date): string => `${dateOf(at)} ${clockOf(at)}`

/** `GMT+01:00` */
export function offsetOf(at: Date): string {
  return OFFSET.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT'
}

/** `3 minutes ago` */
export function relativeOf(at: Date, now = Date.now()): string {
  let amount = (at.getTime() - now) / 1000
  for (const [unit, next] of UNITS) {
    if (Math.abs(amount) < next) return RELATIVE.format(Math.round(amount), unit)
    amount /= next
  }
  return ''
}

/** `120 ms`, `1.2 s`, `3 min 4 s`, `2 h 5 min` */
export function durationOf(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 60_000) return `${Number((milliseconds / 1_000).toFixed(1))} s`
  const minutes = Math.floor(milliseconds / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.floor((milliseconds % 60_000) / 1_000)} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** What a field `datetime-local` holds of a time, in the reader's zone. */
export function fieldOf(instant: string | undefined): string {
  if (!instant) return ''
  const at = new Date(instant)
  return Number.isNaN(at.getTime()) ? '' : `${dateOf(at)}T${clockOf(at)}`
}

const NUMBER = new Intl.NumberFormat('en')
export const numberOf = (value: number): string => NUMBER.format(value)

/** `812 B`, `1.4 kB`, `2.0 MB` */
export function bytesOf(size: number): string {
  if (size < 1_000) return `${size} B`
  return size < 1_000_000 ? `${(size / 1_000).toFixed(1)} kB` : `${(size / 1_000_000).toFixed(1)} MB`
}

/** `externalUrl` is "External url". */
export function labelOf(member: string): string {
  const words = member.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}
