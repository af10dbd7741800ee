/** Words that several screens show. Every sentence of the console, in English, is in this folder. */
export const product = 'Synap Events'
export const skip = 'Skip to the content'
export const nav = 'Screens'
export const theme = { system: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' }
export const workspace = 'Workspace'
export const close = 'Close'
export const cancel = 'Cancel'
export const copy = 'Copy'
export const copied = 'Copied'
export const notCopied = 'Your browser did not copy it. Select the text and copy it yourself.'
export const help = 'Keyboard'
export const none = '—'
export const showMore = (count: string) => `Show ${count} more`
export const showAll = (size: string) => `Show all (${size})`
export const utc = 'UTC'
export const zone = (zone: string) => `Times are in your zone, ${zone}.`
export const hotkeys = [
  ['/', 'Filter'],
  ['j', 'Next'],
  ['k', 'Previous'],
  ['→ ←', 'Through the values of a row'],
  ['Enter', 'Open, or filter by the value'],
  ['x', 'Exclude the value'],
  ['Esc', 'Back'],
  ['?', 'This list'],
] as const
export const members = (shown: string, count: number) => `${shown} ${count === 1 ? 'member' : 'members'}`
export const items = (shown: string, count: number) => `${shown} ${count === 1 ? 'item' : 'items'}`
export const pick = 'Click to filter by this value. Hold Alt to exclude it.'
export const copyNow = 'Copy it now. Nobody can show it again.'
export const copiedIt = 'I have copied it'
