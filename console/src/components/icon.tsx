/** Small pictures beside words; they say nothing that the words do not. */
const PATHS = {
  events: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  inbox: 'M2.5 9.5 4.5 3h7l2 6.5v3.5h-11zM2.5 9.5h3.2L6.7 11h2.6l1-1.5h3.2',
  webhooks: 'M5.5 10.5a2.5 2.5 0 1 1-2-2.4L6 4.5M8 5a2.5 2.5 0 1 1 2 2.4l2 3.4M10.5 11.5H7',
  keys: 'M9.5 6.5a3 3 0 1 1-3-3 3 3 0 0 1 3 3Zm-1 2 5 5m-2-2-1.5 1.5',
  audit: 'M4 2.5h6l2.5 2.5v8.5H4zM6 7.5h4.5M6 10.5h4.5',
  ledger: 'M8 1.8 13.5 4v4c0 3-2.3 5.3-5.5 6.2C4.8 13.3 2.5 11 2.5 8V4zM5.5 8l1.8 1.8L10.7 6.3',
  operate: 'M1.5 8.5h3l2-5 3 9 2-4h3',
  trace: 'M3 3.5h4M5 3.5v9M5 8h4m-4 4.5h4M9 8h4m-4 4.5h4',
  theme: 'M8 2v12M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2ZM8 5a3 3 0 0 1 0 6',
  help: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.3 6.3A1.8 1.8 0 1 1 8 8.6v.8M8 11.4v.2',
  copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z',
  check: 'm3 8.5 3.2 3.2L13 5',
  cross: 'm4 4 8 8m0-8-8 8',
  chevron: 'm6 3.5 4.5 4.5L6 12.5',
  down: 'm3.5 6 4.5 4.5L12.5 6',
  up: 'm3.5 10 4.5-4.5L12.5 10',
  person: 'M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8Zm-5 5.5c.6-2.6 2.5-4 5-4s4.4 1.4 5 4',
  filter: 'M2.5 3.5h11L9.5 8.5v4l-3-1.5V8.5z',
  plus: 'M8 3v10M3 8h10',
  live: 'M8 9.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM4.8 11.2a4.5 4.5 0 0 1 0-6.4M11.2 4.8a4.5 4.5 0 0 1 0 6.4M2.7 13.3a7.5 7.5 0 0 1 0-10.6M13.3 2.7a7.5 7.5 0 0 1 0 10.6',
  columns: 'M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10',
  download: 'M8 2.5v7.5m0 0L4.8 6.8M8 10l3.2-3.2M2.5 13.5h11',
  bookmark: 'M4 2.5h8v11l-4-3-4 3z',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  warning: 'M8 2.2 14.5 13.5h-13zM8 6.5v3.2M8 11.4v.2',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}
