import type { ComponentChildren } from 'preact'
import { memo } from './memo'

export interface Column<TRow> {
  id: string
  name: ComponentChildren
  cell: (row: TRow) => ComponentChildren
  /** `number` is aligned right, `wide` takes what is left, `mono` is for ids. */
  kind?: 'number' | 'wide' | 'mono' | 'time' | 'short'
}

interface TableProps<TRow> {
  /** What the table shows, for readers of the screen. */
  caption: string
  columns: readonly Column<TRow>[]
  rows: readonly TRow[]
  keyOf: (row: TRow) => string
  /** The row that is open or chosen. */
  current?: string | undefined
  busy?: boolean
}

/** A real table. It scrolls sideways in its own box where the screen is narrow. */
export function Table<TRow>({ caption, columns, rows, keyOf, current, busy = false }: TableProps<TRow>) {
  return (
    <div class="table-box" tabindex={0} role="region" aria-label={caption}>
      <table aria-busy={busy}>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ id, name, kind }) => (
              <th key={id} scope="col" class={kind ?? ''}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = keyOf(row)
            return <Row key={key} row={row} columns={columns as readonly Column<unknown>[]} isCurrent={key === current} />
          })}
        </tbody>
      </table>
    </div>
  )
}

interface RowProps {
  row: unknown
  columns: readonly Column<unknown>[]
  isCurrent: boolean
}

/** Rendered again only if its row or the columns are others: a live table has a thousand of them. */
const Row = memo(({ row, columns, isCurrent }: RowProps) => (
  <tr aria-current={isCurrent ? 'true' : undefined}>
    {columns.map(({ id, cell, kind }) => (
      <td key={id} class={kind ?? ''}>
        {cell(row)}
      </td>
    ))}
  </tr>
))
