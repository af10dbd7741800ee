/**
 * Words that several screens show. All of the English is in this folder. Plain words are members of an enum, because the
 * build then puts each where it is shown; sentences with parts of their own, and tables, are not.
 */
export enum words {
  product = 'Synap Events',
  skip = 'Skip to the content',
  nav = 'Screens',
  workspace = 'Workspace',
  close = 'Close',
  cancel = 'Cancel',
  copy = 'Copy',
  copied = 'Copied',
  notCopied = 'Your browser did not copy it. Select the text and copy it yourself.',
  help = 'Keyboard',
  none = '—',
  utc = 'UTC',
  pick = 'Click to filter by this value. Hold Alt to exclude it.',
  copyNow = 'Copy it now. Nobody can show it again.',
  copiedIt = 'I have copied it',
  notJson = 'This is no JSON.',
}

export const theme = { system: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' }
export const showMore = (count: string) => `Show ${count} more`
export const showAll = (size: string) => `Show all (${size})`
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
export const add = (what: string) => `Add ${what}`
export const remove = (what: string) => `Remove ${what}`
