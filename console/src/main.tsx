import { render } from 'preact'
import { App } from './app'
import { takeLinkedKey } from './session'
import { applyTheme } from './theme'
import './style/tokens.css'
import './style/base.css'
import './style/controls.css'
import './style/manage.css'
import './style/shell.css'
import './style/table.css'
import './style/events.css'
import './style/event.css'

takeLinkedKey()
window.addEventListener('hashchange', takeLinkedKey)
applyTheme()
const place = document.getElementById('console')
if (place) render(<App />, place)
