import { useHotkeys, type Hotkeys } from './hotkeys'

/** `j` and `k` go through the rows of the table, and `/` to its filter. */
export function useRowKeys(more: Hotkeys = {}): void {
  useHotkeys({
    j: () => move(1),
    k: () => move(-1),
    '/': () => document.querySelector<HTMLElement>('main [data-filter]')?.focus(),
    ...more,
  })
}

function move(step: number): void {
  const rows = [...document.querySelectorAll('main tbody tr')]
  const at = rows.findIndex((row) => row.contains(document.activeElement))
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))]
  next?.querySelector<HTMLElement>('a, button')?.focus()
}
