package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Placement
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.UserError
import org.lvtmobile.core.firstLine
import org.lvtmobile.core.requireTarget
import org.lvtmobile.core.session
import org.pytorch.executorch.ExecuTorchRuntime

/** The method of a file with the whole model. */
private const val FORWARD = "forward"

/** XNNPACK in the list of a method's delegates. */
private const val XNNPACK = "XnnpackBackend"

/** ExecuTorch. Its files contain XNNPACK's delegates; operators outside them run in ExecuTorch's portable kernels. */
object ExecuTorch : Runtime {
    override val name: String = "executorch"
    override val accelerator: String = "xnnpack"
    override val target: String = "executorch"
    override val placementNote: String = "not told: the manifest has no counts for the delegates of the file"
    private val pool = SharedThreads()

    /** Loads the library, which has no function that tells its version. */
    override val version: String
        get() {
            ExecuTorchRuntime.getRuntime()
            return "version not told"
        }

    override fun open(artifact: Artifact, threads: Int): Session {
        requireTarget(artifact)
        pool.enter(artifact.file.name, threads)
        var session: Session? = null
        try {
            session = executorchSession(artifact, LoadedProgram(artifact.file, threads), pool::leave)
            return session
        } catch (error: RuntimeException) { // its own exceptions, and those of its JNI layer
            throw UserError("ExecuTorch cannot load ${artifact.file.name} with $accelerator: ${error.firstLine()}", error)
        } finally {
            if (session == null) pool.leave()
        }
    }
}

/**
 * Opens the methods of a loaded file. The session owns [program]; a file that does not fit is closed.
 *
 * @param onClose called when the session is closed.
 * @throws UserError a method is missing.
 */
internal fun executorchSession(artifact: Artifact, program: ExecuTorchProgram, onClose: () -> Unit): Session {
    val manifest = artifact.manifest
    val file = artifact.file.name
    var opened: Session? = null
    try {
        val methods = manifest.parts?.entryPoints?.map { it.name } ?: listOf(FORWARD)
        val missing = methods - program.methods
        if (missing.isNotEmpty()) throw UserError("$file has no method ${missing.first()}; export it again")
        methods.forEach(program::load)
        val parts = manifest.parts
        val session = if (parts == null) {
            ExecuTorchSession(program, ExecuTorchFunction(program, FORWARD, file, manifest.inputs, manifest.outputs))
        } else {
            ExecuTorchEntryPoints(program, file, parts).session(parts)
        }
        val placement = executorchPlacement(artifact, methods.flatMap(program::backends).toSet())
        opened = object : Session by session {
            override val placement: Placement? = placement

            override fun close() {
                session.close()
                onClose()
            }
        }
        return opened
    } finally {
        if (opened == null) program.close()
    }
}

/**
 * The counts of the export, which fixes what the delegates run: ExecuTorch does not load a file whose delegate it does
 * not have. Null if the loaded file uses other delegates than the counts are for.
 */
internal fun executorchPlacement(artifact: Artifact, backends: Set<String>): Placement? {
    val counts = artifact.manifest.placement ?: return null
    val delegated = counts.delegated.values.sum()
    val expected = if (delegated > 0) setOf(XNNPACK) else emptySet()
    return if (backends == expected) Placement(delegated, delegated + counts.outside.values.sum()) else null
}

/**
 * The threads of all ExecuTorch models in this process. Loading a model with another number replaces them, and a model
 * that is already loaded would wait for the old ones forever.
 */
internal class SharedThreads {
    private var threads = 0
    private var users = 0

    /** @throws UserError a loaded model has another number of threads. */
    @Synchronized
    fun enter(name: String, threads: Int) {
        if (users > 0 && threads != this.threads) {
            throw UserError(
                "ExecuTorch cannot load $name with $threads threads, because another model is loaded with " +
                    "${this.threads}; close it first",
            )
        }
        this.threads = threads
        users++
    }

    @Synchronized
    fun leave() {
        users--
    }
}
