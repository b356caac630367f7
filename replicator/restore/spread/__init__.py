"""A table's fold spread over many machines: the same SQL on Spark as on DataFusion, the same bytes as COPY.

What decides is one text of SQL (`fold_sql`). What goes into it are the records of the segments as they are
(`scan`), and what comes out of it becomes rows by the code of a restore on one machine (`writing`).
"""
