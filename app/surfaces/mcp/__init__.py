"""The MCP door: procedures as tools of an AI agent, over stateless streamable HTTP."""
