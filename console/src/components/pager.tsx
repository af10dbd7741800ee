import { changeQuery } from '../router'

interface PagerProps {
  page: { nextCursor?: string; previousCursor?: string }
  /** What the buttons say. */
  back: string
  on: string
}

/** To the page before and after this one. The address has the place. */
export function Pager({ page: { nextCursor, previousCursor }, back, on }: PagerProps) {
  if (!nextCursor && !previousCursor) return null
  return (
    <div class="actions">
      <button type="button" class="button" disabled={!previousCursor} onClick={() => changeQuery({ cursor: previousCursor, direction: 'backward' })}>
        {back}
      </button>
      <button type="button" class="button" disabled={!nextCursor} onClick={() => changeQuery({ cursor: nextCursor, direction: undefined })}>
        {on}
      </button>
    </div>
  )
}
