"""SQLAlchemy: the column, and the unit of work that keeps rows and bytes in step.

`column/` is the type and what a model says of its files; `ledger/` remembers, across any crash, which objects may be
garbage; `holders/` asks which rows hold an object; `unit_of_work/` listens to sessions; `triggers/` and `alembic/` let
the database and migrations help; `failures/` makes errors of databases ours. Nothing here knows of requests.

What is listened to, by `unit_of_work/listeners.py` unless another file is named:

event                            function                 what it guarantees
-------------------------------- ------------------------ ------------------------------------------------------------
Session.after_begin              _note_connection         a session keeps to its event loop; COMMITs and savepoints
                                                          are heard
Session.before_flush             _begin_flush             changes in place are found; a flush of some rows only is
                                                          refused
Session.after_transaction_create _store_before_rows       bytes are complete before any row of the flush is written
Mapper.before_insert             _enter_switched_row       a row that takes the place of a deleted one gives up its
                                                          file
Mapper.before_update             _look_again              a file that a listener set late is refused by name, not lost
Mapper.before_delete             _enter_cascaded_delete    rows that a cascade deletes give up their files, too
Session.after_flush              _check_after_rows        what changed during the flush is entered, and settled if a
                                                          COMMIT began
Session.after_flush              uploads/claims.py        a route of the application's own need not say which row took
                                                          an upload
Session.do_orm_execute           track_bulk               bulk insert(), update() and delete() do what single rows do
Session.before_commit            _check_sharing           a file belongs to one row; garbage is written down with the
                                                          rows
Session.after_commit             _mark_committed          the journal knows that its transaction stands
Session.after_soft_rollback      _forget_rolled_back      what lists held when they were read is as before
Session.after_transaction_end    _follow_end              replaced objects go after the outermost COMMIT, new ones
                                                          after a rollback
Session.detached_to_persistent   _watch_added             a row that comes from elsewhere is watched as well
Mapper.mapper_configured         _watch_rows              mappings that can't be kept in step are refused
class.load, refresh              _watch_row               changes in place of what was read are found
class._sa_event_merge_wo_load    watch_row                the same of rows that are merged without being loaded
attribute.set                    mappings.py              what is assigned becomes a FileObject, or is refused by name
object.attribute_instrument      mappings.py              the same for attributes that are mapped later
Engine.savepoint, rollback_savepoint, release_savepoint
                                 savepoints.py            what a savepoint undoes is taken out of the journals
Engine.commit, commit_twophase, handle_error
                                 end.py                   a COMMIT that raised, and may have happened, deletes nothing
Engine.before_cursor_execute     read_only.py, inserts.py a transaction that only read gives its connection back
Table.after_create, before_drop  triggers/__init__.py     triggers come and go with their table
Table.before_create              holders/path_index.py    an index over a list is refused where it can't be
Column and Index.after_parent_attach
                                 holders/path_index.py    `index=True` makes the index that is asked for holders
"""
