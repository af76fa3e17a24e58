package org.lvtmobile.app

import android.net.Uri
import android.os.Handler
import android.os.Looper
import android.view.Surface
import org.lvtmobile.core.Size
import java.io.File
import java.util.concurrent.Executors
import java.util.concurrent.RejectedExecutionException

/** What a [DemoHolder] needs from the activity that shows its state. */
interface DemoScreen {
    /** Called on the main thread with each new state. */
    fun bind(state: DemoState)

    /** Shows a camera frame. Called on any thread. */
    fun showFrame(frame: Frame)

    /**
     * Shows overlays. Called on any thread.
     *
     * @param withFrame whether to show the frame of the result too.
     */
    fun showResult(result: FrameResult, withFrame: Boolean)

    /** Removes picture and overlays. */
    fun clearPicture()
}

/**
 * Holds the state of the screen, the models and the camera. It survives the recreation of the activity, for example
 * after a change of the font size, so models need not be loaded again.
 *
 * Public methods are called on the main thread. Files are read and written on a thread of its own.
 */
class DemoHolder(private val app: DemoApplication) : AutoCloseable {
    private val main = Handler(Looper.getMainLooper())
    private val files = Executors.newSingleThreadExecutor { Thread(it, "files") }
    private val worker by lazy {
        InferenceWorker(app.runtimes(), File(app.noBackupFilesDir, JOURNAL), ResultListener(), app::nanoseconds)
    }
    private val camera = app.openCamera(CameraListener())
    private val store by lazy { SettingsStore(app) }
    private val thermal = ThermalStatus(app) { status -> update { copy(thermalStatus = status) } }
    private val sourceLock = Any()
    private var closed = false

    /** A result of an earlier source, such as the camera before a photo, is not shown. Protected by [sourceLock]. */
    private var source = 0
    private var photoFrame: Frame? = null
    @Volatile private var frozen = false // while paused, after the picture to look at has come
    @Volatile private var screen: DemoScreen? = null

    /** The photo that is shown; null for the camera. */
    var photoUri: Uri? = null
        private set

    /** What the screen shows. */
    @Volatile var state: DemoState = DemoState(thermalStatus = thermal.current())
        private set

    init {
        inBackground {
            val settings = store.settings
            runOnMain {
                update { copy(settings = settings) }
                reload()
            }
        }
    }

    /** Connects a new screen; null disconnects it. */
    fun attach(newScreen: DemoScreen?) {
        screen = newScreen
        newScreen?.bind(state)
        photoFrame?.let { frame -> newScreen?.showFrame(frame) }
        if (newScreen != null && state.results.isNotEmpty()) worker.restyle(style())
    }

    private fun update(change: DemoState.() -> DemoState) {
        val before = state
        state = state.change()
        if (state != before) screen?.bind(state)
        if (state.live != before.live && !state.live && !state.paused) camera.stop()
    }

    // The source of the pictures.

    /** The screen is visible, or not any more. The camera runs only while it is. */
    fun setVisible(visible: Boolean) {
        update { copy(visible = visible) }
        if (!visible) camera.stop()
    }

    /** Starts the camera if it is wanted; the app has the permission. */
    fun startCamera() {
        val size = state.models.firstOrNull()?.size
        if (state.live && size != null) {
            update { copy(notice = null) }
            camera.start(size)
        }
    }

    /** Rotation of the display that shows the screen, in degrees. */
    fun setDisplayRotation(degrees: Int) {
        camera.displayRotation = degrees
    }

    /** The surface for the camera's preview; null before it goes away. */
    fun setPreviewSurface(surface: Surface?) = camera.showPreview(surface)

    /** Freezes the next picture with its overlay, or goes on. */
    fun togglePause() {
        frozen = false
        update { copy(paused = !paused) }
    }

    /** Shows the camera again instead of a photo. */
    fun closePhoto() {
        photoFrame = null
        photoUri = null
        changeSource()
        update { copy(photo = false, paused = false, results = emptyList(), agreement = null).withoutSelection() }
    }

    /** Reads and shows a photo. */
    fun openPhoto(uri: Uri) = inBackground {
        try {
            val frame = readPhoto(app.contentResolver, uri)
            runOnMain { showPhoto(frame, uri) }
        } catch (error: AppError) {
            runOnMain { showNotice(error.phrase, NoticeAction.CHOOSE_PHOTO) }
        } catch (_: OutOfMemoryError) {
            runOnMain { showNotice(Phrase(R.string.photo_too_large), NoticeAction.CHOOSE_PHOTO) }
        }
    }

    private fun showPhoto(frame: Frame, uri: Uri) {
        photoFrame = frame
        photoUri = uri
        changeSource()
        screen?.showFrame(frame)
        update {
            copy(photo = true, paused = false, results = emptyList(), agreement = null, notice = null).withoutSelection()
        }
        camera.stop()
        worker.submitPhoto(frame, source)
    }

    private fun changeSource() {
        frozen = false
        synchronized(sourceLock) {
            source++
            screen?.clearPicture()
        }
    }

    // The models.

    /** Searches the models again, and loads the selected ones. */
    fun reload(retry: Boolean = false) {
        changeSource()
        photoFrame?.let { screen?.showFrame(it) }
        update { copy(models = emptyList(), paused = false, results = emptyList(), agreement = null).withoutSelection() }
        inBackground {
            val repository = app.modelRepository()
            val entries = repository.entries()
            val folder = app.modelFolders().first()
            runOnMain {
                update { copy(entries = entries) }
                load(entries, folder, retry)
            }
        }
    }

    private fun load(entries: List<ModelEntry>, folder: File, retry: Boolean) {
        val requests = listOfNotNull(state.settings, state.comparison).mapNotNull { settings ->
            settings.selectEntry(entries)?.let { ModelRequest(it, settings) }
        }
        if (requests.isEmpty()) {
            showNotice(Phrase(R.string.no_model, "$folder"), NoticeAction.SEARCH_MODELS)
        } else {
            worker.load(requests, retry)
        }
    }

    /**
     * Selects how to run the first model. Choosing a model or a runtime tries it even if it failed before; another
     * number of threads is no reason to.
     */
    fun select(settings: RunSettings) {
        val retry = settings.threads == state.settings.threads
        update { copy(settings = settings) }
        inBackground { store.settings = settings }
        reload(retry)
    }

    /** Runs a second model on the same pictures; null ends the comparison. */
    fun compare(settings: RunSettings?) {
        update { copy(comparison = settings) }
        reload(retry = settings != null)
    }

    /** Begins a comparison with the most telling other choice, or ends it. */
    fun toggleComparison() {
        if (state.comparison != null) return compare(null)
        val other = state.settings.alternative(state.entries.orEmpty(), app.runtimes())
        if (other == null) showNotice(Phrase(R.string.nothing_to_compare), NoticeAction.DISMISS) else compare(other)
    }

    // The screen.

    /** Selects a segment; null selects none. */
    fun selectSegment(key: Int?) {
        update { if (key == null) withoutSelection() else copy(selected = key) }
        worker.restyle(style())
    }

    /** Hides everything but the selected segment, or shows it again. */
    fun toggleIsolation() {
        update { copy(isolate = !isolate && selected != null) }
        worker.restyle(style())
    }

    private fun style() = OverlayStyle(state.selected, state.isolate)

    private fun DemoState.withoutSelection() = copy(selected = null, isolate = false)

    /** Opens a panel; null closes it. */
    fun show(panel: Panel?) = update { copy(panel = panel) }

    fun setDisplay(options: DisplayOptions) = update { copy(display = options) }

    /** Shows a message. */
    fun showNotice(text: Phrase, action: NoticeAction) = update { copy(notice = Notice(text, action), loading = null) }

    fun dismissNotice() = update { copy(notice = null) }

    /**
     * Runs [action] on the thread for files, and what it returns on the main thread, unless the holder was closed
     * meanwhile.
     */
    fun inFiles(action: () -> () -> Unit) = inBackground {
        val next = action()
        runOnMain(next)
    }

    private fun inBackground(action: () -> Unit) {
        try {
            files.execute(action)
        } catch (_: RejectedExecutionException) {
            return // closed
        }
    }

    private fun runOnMain(action: () -> Unit) {
        main.post { if (!closed) action() }
    }

    /** Releases models and camera. */
    override fun close() {
        closed = true
        screen = null
        thermal.close()
        camera.close()
        worker.close()
        files.shutdown()
    }

    private inner class CameraListener : FrameSource.Listener {
        override fun onFrame(frame: Frame) {
            val now = synchronized(sourceLock) {
                val current = state
                if (current.photo || frozen) return
                if (!current.paused) screen?.showFrame(frame)
                source
            }
            worker.submitCameraFrame(frame, now)
        }

        override fun onPreviewSize(size: Size?) = runOnMain { update { copy(previewSize = size) } }

        override fun onError(problem: CameraProblem) = runOnMain {
            val text = when (problem.kind) {
                CameraProblem.Kind.MISSING -> Phrase(R.string.camera_missing)
                CameraProblem.Kind.FORBIDDEN -> Phrase(R.string.camera_forbidden)
                CameraProblem.Kind.BUSY -> Phrase(R.string.camera_busy)
                CameraProblem.Kind.FAILED -> Phrase(R.string.camera_failed, problem.details)
            }
            showNotice(text, NoticeAction.RETRY_CAMERA)
        }
    }

    private inner class ResultListener : InferenceWorker.Listener {
        override fun onLoading(name: String) = runOnMain { update { copy(loading = name, notice = null) } }

        override fun onReady(models: List<ModelInfo>) = runOnMain {
            update { copy(models = models, loading = null, notice = null) }
            photoFrame?.let { worker.submitPhoto(it, source) }
        }

        override fun onResult(result: FrameResult) {
            val results = result.overlays.mapIndexed { index, overlay ->
                ModelResult(overlay.segments, overlay.classes, result.latencies.getOrNull(index))
            }
            synchronized(sourceLock) {
                if (result.source != source) return
                val current = state
                if (current.paused) frozen = true
                screen?.showResult(result, withFrame = current.photo || current.paused)
            }
            runOnMain {
                if (result.source != source) return@runOnMain
                if (state.paused) camera.stop()
                update { copy(results = results, agreement = result.agreement) }
            }
        }

        override fun onError(message: Phrase) = runOnMain {
            changeSource()
            update { copy(models = emptyList(), loading = null, results = emptyList()).withoutSelection() }
            showNotice(message, NoticeAction.CHOOSE_MODEL)
        }
    }

    private companion object {
        const val JOURNAL = "launches"
    }
}
