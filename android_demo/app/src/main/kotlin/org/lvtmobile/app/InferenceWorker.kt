package org.lvtmobile.app

import org.lvtmobile.core.Agreement
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.UserError
import org.lvtmobile.core.agreement
import org.lvtmobile.core.firstLine
import java.io.File
import java.io.IOException
import java.util.concurrent.ExecutorService
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/**
 * What the models computed for a frame; one entry per model. Frame and overlays are valid only until the listener
 * returns.
 *
 * @property source the number that was submitted with the frame.
 * @property agreement null with one model, and if the two predictions cannot be compared.
 */
class FrameResult(
    val source: Int,
    val frame: Frame,
    val overlays: List<Overlay>,
    val latencies: List<LatencyReport>,
    val agreement: Agreement?,
)

/**
 * Loads one model, or two to compare, and runs them on a dedicated thread. Model loading, inference and overlay
 * rendering happen on this thread only.
 *
 * @param journalFile where failed starts are remembered; see [LaunchJournal].
 * @param listener called on the worker thread.
 * @param nanoseconds a monotonic clock.
 */
class InferenceWorker(
    private val runtimes: List<Runtime>,
    private val journalFile: File,
    private val listener: Listener,
    private val nanoseconds: () -> Long = System::nanoTime,
) : AutoCloseable {
    /** Receives the results. */
    interface Listener {
        fun onLoading(name: String)

        fun onReady(models: List<ModelInfo>)

        fun onResult(result: FrameResult)

        /**
         * The models failed and were unloaded.
         *
         * @param message one line for the user.
         */
        fun onError(message: Phrase)
    }

    private val gate = FrameGate()
    private val pendingFrame = Frame() // protected by the gate

    /** How to draw the next overlay. */
    @Volatile private var style = OverlayStyle()

    // The following properties are used on the worker thread only.
    private val worker: ExecutorService = ThreadPoolExecutor(
        1, 1, 0, TimeUnit.SECONDS, LinkedBlockingQueue(), { Thread(it, "inference") },
        ThreadPoolExecutor.DiscardPolicy(), // the camera may deliver another frame after close()
    )
    private val journal by lazy { LaunchJournal(journalFile) }
    private val loader by lazy { ModelLoader(runtimes, journal, nanoseconds) }
    private var models: List<LoadedModel> = emptyList()
    private var loaded: List<ModelRequest> = emptyList()
    private var lastFrame: Frame? = null
    private var lastSource = 0

    /**
     * Loads models and replaces the loaded ones.
     *
     * @param retry whether to try accelerators again that have failed before.
     */
    fun load(requests: List<ModelRequest>, retry: Boolean = false) = worker.execute {
        reportErrors {
            unload()
            for (request in requests) {
                listener.onLoading(request.entry.name)
                if (retry) request.settings.runtime?.let { journal.forget(request.entry.name, it) }
                models = models + loader.load(request)
            }
            loaded = requests
            listener.onReady(models.map { it.info })
        }
    }

    /** Submits a camera frame. The frame is copied if the models are idle, else dropped. */
    fun submitCameraFrame(frame: Frame, source: Int) {
        if (!gate.tryEnter()) return
        pendingFrame.copyFrom(frame)
        worker.execute {
            try {
                reportErrors { process(pendingFrame, source, live = true) }
            } finally {
                gate.leave()
            }
        }
    }

    /** Submits a photo. Photos are queued and never dropped. */
    fun submitPhoto(frame: Frame, source: Int) = worker.execute {
        reportErrors { process(frame, source, live = false) }
    }

    /** Changes how overlays are drawn, and draws the last one again. */
    fun restyle(newStyle: OverlayStyle) {
        style = newStyle
        worker.execute {
            val frame = lastFrame ?: return@execute
            models.forEach { it.restyle(style) }
            publish(frame)
        }
    }

    private fun process(frame: Frame, source: Int, live: Boolean) {
        if (models.isEmpty()) return
        if (source != lastSource) models.forEach { it.overlay.clear() }
        for (model in models) {
            val info = model.info
            try {
                model.process(frame, style, live)
            } catch (error: UserError) {
                if (!journal.fail(info.name, info.runtime, error.firstLine())) throw error
                return load(loaded) // its first picture: the CPU runs it instead
            }
            journal.succeed(info.name, info.runtime)
        }
        lastFrame = frame
        lastSource = source
        publish(frame)
    }

    private fun publish(frame: Frame) {
        val predictions = models.mapNotNull { it.prediction }
        listener.onResult(
            FrameResult(
                source = lastSource,
                frame = frame,
                overlays = models.map { it.overlay },
                latencies = models.mapNotNull { it.report(gate.dropped) },
                agreement = if (predictions.size == 2) agreement(predictions[0], predictions[1]) else null,
            ),
        )
    }

    /** Reports errors to the listener and unloads the models. An error must not crash the app. */
    private fun reportErrors(action: () -> Unit) {
        val message = try {
            return action()
        } catch (error: AppError) {
            error.phrase
        } catch (error: UserError) {
            Phrase(R.string.message, error.firstLine())
        } catch (_: OutOfMemoryError) {
            Phrase(R.string.memory_short)
        } catch (error: LinkageError) {
            Phrase(R.string.runtime_missing, error.firstLine())
        } catch (error: IOException) {
            Phrase(R.string.storage_unusable, error.firstLine())
        } catch (error: RuntimeException) {
            Phrase(R.string.unexpected_error, error.toString().lineSequence().first())
        }
        unload()
        listener.onError(message)
    }

    private fun unload() {
        models.forEach(AutoCloseable::close)
        models = emptyList()
        lastFrame = null
    }

    /** Unloads the models and ends the thread, after the current task. */
    override fun close() {
        worker.execute(::unload)
        worker.shutdown()
    }
}
