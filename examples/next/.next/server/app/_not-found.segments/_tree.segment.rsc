:HL["/_next/static/chunks/3msofaf8dk4fj.css","style"]
2:[["children",{"s":"__PAGE__","h":160}]]
1:[["children",{"s":"/_not-found","h":96,"c":"$Q2"}]]
0:{"b":"_CKlS4wxyfDqnh5mOL2Fk","t":{"t":{"s":"","h":80,"c":"$Q1"}}}
