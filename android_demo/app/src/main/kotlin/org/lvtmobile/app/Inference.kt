package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Labels
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import org.lvtmobile.core.answer
import java.util.concurrent.ExecutorService
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/**
 * One model on one thread of its own: loading, inference and painting happen nowhere else.
 *
 * @param listener is called on that thread.
 * @param nanoseconds a monotonic clock.
 */
class Inference(
    private val runtimes: List<Runtime>,
    private val listener: Listener,
    private val nanoseconds: () -> Long = System::nanoTime,
) : AutoCloseable {
    /** What becomes of requests. Frames and overlays belong to the listener until it returns. */
    interface Listener {
        fun loading(item: ShelfItem)

        fun ready(model: Loaded)

        fun answered(frame: Frame, overlay: Overlay, clock: String)

        /** @param message one line for the user; no model is loaded any more. */
        fun failed(message: String)
    }

    /** A model that is ready to run. */
    class Loaded internal constructor(
        val artifact: Artifact,
        val runtime: Runtime,
        val threads: Int,
        internal val session: Session,
    ) {
        /** Of the network's input. */
        val size: Size get() = artifact.size

        /** One line for the screen. */
        val title: String
            get() = "${artifact.file.name}\n${runtime.name} ${runtime.version}, $threads threads"
    }

    private val gate = FrameGate()
    private val incoming = Frame() // whoever is inside the gate may use it

    // From here on: the worker's alone.
    private val worker: ExecutorService = ThreadPoolExecutor(
        1, 1, 0, TimeUnit.SECONDS, LinkedBlockingQueue(), { Thread(it, "inference") },
        ThreadPoolExecutor.DiscardPolicy(), // the camera may deliver a frame more after the end
    )
    private val overlay = Overlay()
    private val clock = StageClock()
    private var rgb = ByteArray(0)
    private var model: Loaded? = null

    /** Loads what was chosen in place of what is loaded. */
    fun load(item: ShelfItem, choice: Choice) = worker.execute {
        guarded {
            unload()
            listener.loading(item)
            val file = item.file()
            val runtime = choice.runtime(item, runtimes) ?: throw UserError(
                "${item.name} is a ${item.manifest?.target} file, which this app has no runtime for; " +
                    "it runs ${runtimes.map { it.target }.distinct().joinToString()}",
            )
            val artifact = Artifact.open(file)
            val loaded = Loaded(artifact, runtime, choice.threads, runtime.open(artifact, choice.threads))
            model = loaded
            listener.ready(loaded)
        }
    }

    /** A camera's frame: copied if the model is idle, else dropped. */
    fun offer(frame: Frame) {
        if (!gate.tryEnter()) return
        incoming.copyFrom(frame)
        worker.execute {
            try {
                guarded { analyse(incoming) }
            } finally {
                gate.leave()
            }
        }
    }

    /** A picture that the user chose: it waits for its turn and is never dropped. */
    fun show(frame: Frame) = worker.execute { guarded { analyse(frame) } }

    private fun analyse(frame: Frame) {
        val (artifact, session, labels) = with(model ?: return) { Triple(artifact, session, labels(artifact)) }
        val start = nanoseconds()
        val picture = frame.toPicture(rgb)
        rgb = picture.rgb
        val image = artifact.preprocessing.apply(picture)
        val prepared = nanoseconds()
        val outputs = session.run(image)
        val inferred = nanoseconds()
        val answer = answer(artifact, outputs, picture.size)
        val answered = nanoseconds()
        overlay.paint(answer, labels)
        val painted = nanoseconds()
        clock.add(
            StageTimes(
                prepare = (prepared - start) / NANOSECONDS,
                infer = (inferred - prepared) / NANOSECONDS,
                answer = (answered - inferred) / NANOSECONDS,
                paint = (painted - answered) / NANOSECONDS,
            ),
            painted,
        )
        listener.answered(frame, overlay, clock.describe(gate.dropped))
    }

    private fun labels(artifact: Artifact): Labels = artifact.manifest.labels ?: throw UserError(
        "${artifact.file.name} is a bare backbone; there is nothing to show of it",
    )

    /** What goes wrong with a model ends that model, not the app. */
    private fun guarded(action: () -> Unit) {
        try {
            action()
        } catch (error: UserError) {
            unload()
            listener.failed(error.message.orEmpty())
        } catch (_: OutOfMemoryError) {
            unload()
            listener.failed("not enough memory for this model and picture; choose a smaller one")
        } catch (error: LinkageError) {
            unload()
            listener.failed("this device cannot load the runtime: ${error.message}")
        }
    }

    private fun unload() {
        model?.session?.close()
        model = null
        clock.clear()
    }

    /** Ends the thread after what it is doing now. */
    override fun close() {
        worker.execute(::unload)
        worker.shutdown()
    }
}

private const val NANOSECONDS = 1e6 // in a millisecond
