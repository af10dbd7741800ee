module.exports=[68292,s=>{"use strict";s.s([])}];

//# sourceMappingURL=_next-internal_server_app_key_route_actions_1wt6ddbr8gv5g.js.map