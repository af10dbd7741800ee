// Drives one browser for the tests. Usage: driver.mjs CHROMIUM. Reads a JSON line [command, ...arguments], answers one
// {value} or {error}; the end of its input is its end. Fields and buttons are found as a person finds them: by name.
import readline from 'node:readline'
import { chromium } from 'playwright-core'

const PATIENCE_MS = 10_000
const browser = await chromium.launch({
  executablePath: process.argv[2],
  chromiumSandbox: false, // it cannot be had as root; every page it sees here is our own
  args: ['--disable-gpu', '--disable-quic', '--no-first-run'],
})
let page
let problems = []
let asked = []

/** The server gets the request, the page no answer. */
async function loseAnswer(route) {
  await route.fetch()
  await route.abort()
}

const commands = {
  async open(url, refused, unanswered) {
    await page?.context().close()
    page = await browser.newPage({ viewport: { width: 800, height: 720 }, locale: 'en-GB', timezoneId: 'UTC' })
    page.setDefaultTimeout(PATIENCE_MS)
    problems = []
    asked = []
    page.on('request', (request) => asked.push(request.url()))
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    page.on('pageerror', (error) => problems.push(String(error)))
    // As a proxy answers that has no server behind it: without a word for other origins.
    for (const pattern of refused) await page.route(pattern, (route) => route.fulfill({ status: 503 }), { times: 1 })
    for (const pattern of unanswered) await page.route(pattern, loseAnswer, { times: 1 })
    await page.goto(url)
  },
  fill: (label, text) => page.getByLabel(label).fill(text),
  click: (name) => page.getByRole('button', { name }).click(),
  url: () => page.url(),
  state: () => page.getByRole('status').textContent(),
  alert: () => page.getByRole('alert').textContent(),
  value: (label) => page.getByLabel(label).inputValue(),
  enabled: (name) => page.getByRole('button', { name }).isEnabled(),
  notes: () => page.getByRole('list', { name: 'Latest' }).locator('.text').allTextContents(),
  text: (selector) => page.locator(selector).allTextContents(),
  problems: () => problems.splice(0),
  asked: () => asked,
  evaluate: (expression) => page.evaluate(expression),
  async screenshot(path, { colorScheme, ...viewport }) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize(viewport)
    await page.screenshot({ path })
  },
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, ...args] = JSON.parse(line)
  let answer
  try {
    answer = { value: await commands[command](...args) }
  } catch (error) {
    answer = { error: String(error) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
await browser.close()
