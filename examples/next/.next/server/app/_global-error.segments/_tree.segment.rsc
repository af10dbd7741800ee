1:[["children",{"s":"__PAGE__","h":176}]]
0:{"b":"_CKlS4wxyfDqnh5mOL2Fk","t":{"t":{"s":"","h":80,"c":"$Q1"}}}
