import { useState } from 'preact/hooks'
import { bytesOf, numberOf } from '../shown'
import * as textSaid from '../text/common'
import { words as text } from '../text/common'
import { visible } from '../visible'
import { Icon } from './icon'
import { Visible } from './visible'

/** Called with the dotted path and the value that was clicked, and whether Alt was held. */
export type Pick = (path: string, value: string | number | boolean | null, exclude: boolean) => void

const CHUNK = 100
const LONG_TEXT = 2_000
const OPEN_MEMBERS = 50
const OPEN_DEPTH = 3

interface TreeProps {
  value: unknown
  /** What the outermost object is called. */
  name: string
  /** The path of the outermost object in the filter language. Without it nothing can be picked. */
  path?: string
  onPick?: Pick
}

/** JSON as a tree that folds. Only what is unfolded is on the page, a hundred members at a time. */
export function Tree({ value, name, path, onPick }: TreeProps) {
  return (
    <div class="tree">
      <Members value={value as object} path={path} depth={0} onPick={onPick} label={name} />
    </div>
  )
}

interface NodeProps {
  name: string
  value: unknown
  path: string | undefined
  depth: number
  onPick: Pick | undefined
}

function Node({ name, value, path, depth, onPick }: NodeProps) {
  const size = typeof value === 'object' && value !== null ? Object.keys(value).length : 0
  const [open, setOpen] = useState(size <= OPEN_MEMBERS && depth < OPEN_DEPTH)
  const label = (
    <span class="tree-name">
      <Visible>{name}</Visible>
    </span>
  )
  if (typeof value !== 'object' || value === null) {
    return (
      <li>
        <span class="tree-leaf">
          {label}
          <Leaf value={value as string | number | boolean | null} path={path} onPick={onPick} />
        </span>
      </li>
    )
  }
  const count = numberOf(size)
  const said = visible(name)
  return (
    <li>
      <button
        type="button"
        class="tree-fold"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="chevron" />
        {label}
        <span class="tree-count">{Array.isArray(value) ? textSaid.items(count, size) : textSaid.members(count, size)}</span>
      </button>
      {open && <Members value={value} path={path} depth={depth + 1} onPick={onPick} label={said} />}
    </li>
  )
}

function Members({ value, path, depth, onPick, label }: { value: object; label: string } & Omit<NodeProps, 'name' | 'value'>) {
  const [shown, setShown] = useState(CHUNK)
  const names = Object.keys(value)
  const below = names.length - shown
  const isList = Array.isArray(value)
  return (
    <>
      <ul aria-label={label}>
        {names.slice(0, shown).map((name) => (
          <Node
            key={name}
            name={name}
            value={(value as Record<string, unknown>)[name]}
            path={path === undefined || isList || !isPlain(name) ? undefined : `${path}.${name}`}
            depth={depth}
            onPick={onPick}
          />
        ))}
      </ul>
      {below > 0 && (
        <button type="button" class="button" onClick={() => setShown(shown + CHUNK * 5)}>
          {textSaid.showMore(numberOf(Math.min(below, CHUNK * 5)))}
        </button>
      )}
    </>
  )
}

/** Whether the filter language can name it as one step of a path. */
const isPlain = (name: string) => /^[A-Za-z0-9_-]{1,128}$/.test(name)

const KINDS: Record<string, string> = { string: 'text', number: 'number', boolean: 'word', object: 'word' }

function Leaf({ value, path, onPick }: { value: string | number | boolean | null; path: string | undefined; onPick: Pick | undefined }) {
  const [whole, setWhole] = useState(false)
  const isLong = typeof value === 'string' && value.length > LONG_TEXT
  const shown = isLong && !whole ? value.slice(0, LONG_TEXT) : String(value)
  const kind = KINDS[typeof value] ?? 'text'
  const content = <Visible multiline>{shown}</Visible>
  return (
    <>
      {path !== undefined && onPick && !isLong ? (
        <button type="button" class={`tree-value ${kind}`} title={text.pick} onClick={(event) => onPick(path, value, event.altKey)}>
          {content}
        </button>
      ) : (
        <span class={`tree-value ${kind}`}>{content}</span>
      )}
      {isLong && !whole && (
        <button type="button" class="button" onClick={() => setWhole(true)}>
          {textSaid.showAll(bytesOf(value.length))}
        </button>
      )}
    </>
  )
}
