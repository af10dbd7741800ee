// The package `ws` has no types of its own; its class is used as the browser's.
declare module 'ws' {
  const WebSocket: typeof globalThis.WebSocket
  export default WebSocket
}
