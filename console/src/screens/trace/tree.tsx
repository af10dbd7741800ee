import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../../components/icon'
import { Visible } from '../../components/visible'
import type { TracedEvent } from '../../contract'
import { clockOf } from '../../shown'
import { words as eventWords } from '../../text/event'
import { words as traceWords } from '../../text/trace'
import { Confidence } from '../events/columns'
import { unfolded, type Branch } from './model'

const DEEPEST = 12

interface TreeProps {
  root: Branch
  current: string
  asked: string
  onMove: (event: TracedEvent) => void
  onOpen: (event: TracedEvent) => void
}

/** Causes and effects, indented. The arrow keys walk it as they walk any tree. */
export function CausalTree({ root, current, asked, onMove, onOpen }: TreeProps) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set())
  const list = useRef<HTMLUListElement>(null)
  const hasFocus = useRef(false)
  const seen = unfolded(root, folded)
  const here = Math.max(0, seen.findIndex(({ event }) => event.id === current))
  useLayoutEffect(() => {
    if (hasFocus.current) list.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus()
  }, [current])
  const fold = ({ event }: Branch, isFolded: boolean) => {
    const next = new Set(folded)
    if (isFolded) next.add(event.id)
    else next.delete(event.id)
    setFolded(next)
  }
  const press = (key: KeyboardEvent) => {
    const branch = seen[here]
    if (!branch) return
    const isOpen = branch.children.length > 0 && !folded.has(branch.event.id)
    const target = targetOf(key.key, seen, here, isOpen)
    if (key.key === 'Enter') onOpen(branch.event)
    else if (key.key === 'ArrowLeft' && isOpen) fold(branch, true)
    else if (key.key === 'ArrowRight' && folded.has(branch.event.id)) fold(branch, false)
    else if (target) onMove(target.event)
    else return
    key.preventDefault()
    key.stopPropagation()
  }
  return (
    <ul
      ref={list}
      role="tree"
      aria-label={traceWords.tree}
      class="causes"
      onKeyDown={press}
      onFocusIn={() => (hasFocus.current = true)}
      onFocusOut={() => (hasFocus.current = false)}
    >
      {seen.map((branch, place) => (
        <TreeRow
          key={branch.event.id}
          branch={branch}
          isHere={place === here}
          isAsked={branch.event.id === asked}
          isFolded={folded.has(branch.event.id)}
          onFold={(isFolded) => fold(branch, isFolded)}
          onMove={() => onMove(branch.event)}
          onOpen={() => onOpen(branch.event)}
        />
      ))}
    </ul>
  )
}

function targetOf(key: string, seen: Branch[], here: number, isOpen: boolean): Branch | undefined {
  const level = seen[here]?.level ?? 0
  if (key === 'ArrowDown' || key === 'j' || (key === 'ArrowRight' && isOpen)) return seen[here + 1]
  if (key === 'ArrowUp' || key === 'k') return seen[here - 1]
  if (key === 'ArrowLeft') return seen.slice(0, here).findLast((branch) => branch.level < level)
  if (key === 'Home') return seen[0]
  return key === 'End' ? seen.at(-1) : undefined
}

interface RowProps {
  branch: Branch
  isHere: boolean
  isAsked: boolean
  isFolded: boolean
  onFold: (isFolded: boolean) => void
  onMove: () => void
  onOpen: () => void
}

function TreeRow({ branch: { event, level, children }, isHere, isAsked, isFolded, onFold, onMove, onOpen }: RowProps) {
  const hasChildren = children.length > 0
  return (
    <li
      role="treeitem"
      aria-level={level + 1}
      aria-selected={isHere}
      aria-expanded={hasChildren ? !isFolded : undefined}
      tabindex={isHere ? 0 : -1}
      class={isAsked ? 'asked' : ''}
      onClick={onMove}
      onDblClick={onOpen}
    >
      {Array.from({ length: Math.min(level, DEEPEST) }, (_, step) => (
        <span key={step} class="indent" />
      ))}
      <span class="fold" onClick={(click) => (click.stopPropagation(), hasChildren && onFold(!isFolded))}>
        {hasChildren && <Icon name={isFolded ? 'chevron' : 'down'} />}
      </span>
      <span class="cause-type">
        <Visible>{event.type}</Visible>
      </span>
      {isAsked && <span class="badge">{traceWords.asked}</span>}
      {event.erased && <em class="erased">{eventWords.erased}</em>}
      <span class="cause-who">
        <Visible>{event.agent ?? event.userId}</Visible>
      </span>
      {event.confidence !== undefined && <Confidence score={event.confidence} />}
      <time datetime={event.timestamp} class="mono">
        {clockOf(new Date(event.timestamp))}
      </time>
    </li>
  )
}
