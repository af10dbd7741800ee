import type { ComponentChildren, Ref } from 'preact'
import { memo } from './memo'

export interface Column<TRow> {
  id: string
  name: ComponentChildren
  cell: (row: TRow, isCurrent: boolean) => ComponentChildren
  /** The class of its cells: `number` is aligned right, `mono` is for ids, `time` for times; `wide` takes what is left. */
  kind?: string
}

interface TableProps<TRow> {
  /** What the table shows, for readers of the screen. */
  caption: string
  columns: readonly Column<TRow>[]
  rows: readonly TRow[]
  keyOf: (row: TRow) => string
  /** The key of the row that is open or chosen. */
  current?: string | undefined
  busy?: boolean
  /** The widths are those of the columns' kinds, whatever the cells contain. */
  fixed?: boolean
  box?: Ref<HTMLDivElement>
  onScroll?: () => void
  /** What stands below the rows, and scrolls with them. */
  children?: ComponentChildren
}

/** A real table. It scrolls in its own box where the screen is narrow. */
export function Table<TRow>(props: TableProps<TRow>) {
  const { caption, columns, rows, keyOf, current, busy = false, fixed = false, box, onScroll, children } = props
  return (
    <div ref={box ?? null} class="table-box" tabindex={0} role="region" aria-label={caption} onScroll={onScroll}>
      <table aria-busy={busy} class={fixed ? 'fixed' : ''}>
        <caption class="hidden">{caption}</caption>
        <colgroup>
          {columns.map(({ id, kind }) => (
            <col key={id} class={kind ?? ''} />
          ))}
        </colgroup>
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
      {children}
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
        {cell(row, isCurrent)}
      </td>
    ))}
  </tr>
))
